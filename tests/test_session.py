"""A session: the profile's settings, everything trained and rated once, one sentence for every mistake."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
import torch
from core_tools import make_federation, same, without_time

from fedkit.algorithms.fedprox import FedProx
from fedkit.common.errors import FedkitError
from fedkit.common.files import project_root
from fedkit.profiles import PROFILES
from fedkit.session import Session
from fedkit.training import simulation
from fedkit.training.models import adapter_state, base_fingerprint, set_adapter_state
from fedkit.training.runs import training_code

pytestmark = pytest.mark.usefixtures("frozen")
SMOKE = PROFILES["smoke"]


@pytest.fixture(scope="module", autouse=True)
def _model():
    from fedkit import mini

    try:
        mini.model_path()
    except FedkitError as error:
        pytest.skip(f"the embedded model is not built: {error}")


@pytest.fixture(scope="module")
def dataset():
    return make_federation([3, 6, 20, 400], name="fed_aya")


@pytest.fixture
def session(tmp_path):
    return Session("smoke", results_dir=tmp_path / "results")


@pytest.fixture
def untrainable(monkeypatch):
    """From the call on, whoever trains or answers fails."""

    def forbid():
        def fail(*args, **kwargs):
            raise AssertionError("this was done before")

        monkeypatch.setattr(simulation, "client_class", fail)
        monkeypatch.setattr("fedkit.evaluation.generation.generate", fail)

    return forbid


def test_a_plan_is_the_profiles(session, dataset):
    config = session.plan("fedprox", dataset, seed=4, clients=["a", "c"], settings={"rounds": 7}, mu=0.5)
    assert config.train == replace(SMOKE.dataset("fed_aya").train, rounds=7)
    assert config.model == SMOKE.model and config.params == {"mu": 0.5}
    assert (config.dataset, config.fingerprint) == ("fed_aya", dataset.fingerprint)
    assert (config.algorithm, config.seed, config.clients) == ("fedprox", 4, ("a", "c"))
    assert config.base == base_fingerprint("mini") and config.code == training_code(FedProx)
    assert session.plan("fedavg", dataset).seed == SMOKE.seeds[0] and session.plan("fedavg", dataset).clients is None


def test_a_plan_names_every_hyperparameter(session, dataset):
    """A default that is given, one that is left out and a whole number name one run."""
    left_out, given = session.plan("fedavgm", dataset), session.plan("fedavgm", dataset, beta=0.5, eta=1, form="hsu")
    assert left_out.params == {"beta": 0.5, "eta": 1.0, "form": "hsu"} and left_out.hash == given.hash
    assert session.plan("fedavgm", dataset, beta=0.9).hash != given.hash
    assert session.plan("fedavg", dataset).params == {}


def test_a_plan_follows_the_profile_and_its_datasets(session, dataset):
    """The paper profile trains the published rows: the systems' form, and beta 0.9 for OpenFedLLM alone."""
    paper = PROFILES["paper"]
    session.profile = replace(SMOKE, algorithms=paper.algorithms)
    assert session.plan("fedavgm", dataset).params == {"beta": 0.5, "eta": 1.0, "form": "systems"}
    assert session.plan("fedavgm", dataset, form="hsu").params["form"] == "hsu"
    assert {session.plan(n, dataset).params["form"] for n in ("fedadagrad", "fedyogi", "fedadam")} == {"systems"}
    own = {"fed_aya": replace(SMOKE.dataset("fed_aya"), algorithms=paper.dataset("fingpt").algorithms)}
    session.profile = replace(session.profile, datasets={**SMOKE.datasets, **own})
    assert session.plan("fedavgm", dataset).params == {"beta": 0.9, "eta": 1.0, "form": "systems"}
    assert paper.params_of("fedavgm", "fed_aya") == {"form": "systems"} and paper.params_of("fedavg", "fed_aya") == {}
    assert all(not PROFILES[name].algorithms for name in ("smoke", "mini", "course"))


def test_local_plans_take_about_ten_passes(session, dataset):
    """10 x size / 8 records a round (2 steps of 4), at least one round, at most the federation's 2."""
    rounds = {client: session.plan_local(dataset, client).train.rounds for client in dataset.clients}
    assert rounds == {"a": 2, "b": 2, "c": 2, "d": 2}
    long = Session("mini", results_dir=session.folder)  # 80 records a round, 15 rounds
    rounds = {client: long.plan_local(dataset, client).train.rounds for client in dataset.clients}
    assert rounds == {"a": 1, "b": 1, "c": 2, "d": 15}
    config = session.plan_local(dataset, "b", seed=3)
    assert (config.algorithm, config.clients, config.train.clients_per_round, config.seed) == ("local", ("b",), 1, 3)


def test_the_seeds_are_the_profiles_or_those_given(tmp_path):
    assert Session("mini", results_dir=tmp_path).seeds == PROFILES["mini"].seeds
    assert Session("mini", results_dir=tmp_path, seeds=[5, 6]).seeds == (5, 6)


@pytest.mark.parametrize("seeds", [3, [0, 0], "0", "01", [-1], [0, -1], [], ["0"], [True], [1.5]])
def test_seeds_are_refused_as_on_the_command_line(tmp_path, seeds):
    with pytest.raises(FedkitError, match="seeds .*: give different whole numbers from 0 up"):
        Session("smoke", results_dir=tmp_path / "results", seeds=seeds)
    assert not (tmp_path / "results").exists()


def test_home_is_understood_in_paths(tmp_path, monkeypatch):
    """`~` is a home in both folders, in Python as on the command line; nothing named `~` is made."""
    from fedkit.runner.options import parse

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home" / "raw" / "gsm8k").mkdir(parents=True)
    (tmp_path / "home" / "raw" / "gsm8k" / "train.jsonl").write_text("{}")  # a folder that matches nothing is refused
    kit = Session("smoke", results_dir="~/x", data_dir="~/raw")
    assert (kit.folder, kit.place.data_dir) == (tmp_path / "home" / "x", tmp_path / "home" / "raw")
    given = parse(["--results", "~/x", "--data-dir", "~/raw"], root=tmp_path)
    assert (given.results, given.data_dir) == (kit.folder, kit.place.data_dir)
    assert (tmp_path / "home" / "x" / "runs").is_dir() and not (tmp_path / "~").exists()
    for call in (
        {"results_dir": "~nosuchuser/x"},
        {"data_dir": "~nosuchuser/x"},
        {"results_dir": "a\0b"},
        {"data_dir": ""},
        {"results_dir": ""},
    ):
        with pytest.raises(FedkitError, match="is no path on this machine|an empty word is given where a path belongs"):
            Session("smoke", **call)
    with pytest.raises(FedkitError, match="--data-dir ~/nothing: it does not exist; give the folder that holds"):
        Session("smoke", data_dir="~/nothing", results_dir="~/y")
    assert not (tmp_path / "home" / "y").exists()


def test_another_base_model(tiny_folder, dataset, tmp_path):
    """A folder's name takes the place of the profile's model alone; a spec takes its precision and LoRA with it."""
    named = Session("smoke", results_dir=tmp_path, model=str(tiny_folder))
    assert named.profile.model == replace(SMOKE.model, name=str(tiny_folder))
    run = named.train(named.plan("fedavg", dataset, settings={"max_length": 300}), dataset)
    assert run.config.base == base_fingerprint(str(tiny_folder)) != base_fingerprint("mini")
    assert named.evaluate(run).items_frame("ref").score.notna().all()
    assert named.tokenizer.vocab_size == 400
    small = replace(SMOKE.model, name=str(tiny_folder), lora=replace(SMOKE.model.lora, r=2))
    assert Session("smoke", results_dir=tmp_path, model=small).plan("fedavg", dataset).model == small
    paper = PROFILES["paper"].with_model("own/model")  # every dataset keeps its LoRA, and none its model
    assert {paper.model_of(name).name for name in paper.datasets} == {"own/model"}
    assert paper.model_of("fingpt").lora == PROFILES["paper"].model_of("fingpt").lora != paper.model_of("fed_aya").lora
    for wrong, said in ((3, "a int is no base model"), (tmp_path / "no", "does not exist"), ("", "name is empty")):
        with pytest.raises(FedkitError, match=said):
            Session("smoke", results_dir=tmp_path, model=wrong)


def test_another_world(tmp_path):
    """Other people and questions of that seed, made once, about the same held-out facts; the source says so."""
    from tools.world.corpora import CORPORA

    shipped, other = (Session("smoke", results_dir=tmp_path, world_seed=seed) for seed in (0, 5))
    ours, theirs = shipped.build("fed_aya"), other.build("fed_aya")
    assert len(theirs.dataset) == len(ours.dataset) == 38 and theirs.dataset.fingerprint != ours.dataset.fingerprint
    assert not set(theirs.dataset.clients) & set(ours.dataset.clients)
    assert "fedkit's embedded world of seed 5" in theirs.located.describe()
    assert list(other.place.records("aya", 1200)) == CORPORA["aya"].records(1200, seed=5)
    asked = [question["instruction"] for question in CORPORA["aya_test"].records(20, seed=5)]
    assert {question.instruction for question in other.questions("fed_aya")} <= set(asked)
    (folder,) = (tmp_path / "data").glob("world-5-*")
    times = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}
    assert set(times) == {"aya-1200.parquet", "aya_test.parquet"}  # what was read, and no more
    again = Session("smoke", results_dir=tmp_path, world_seed=5).build("fed_aya")
    assert again.dataset.fingerprint == theirs.dataset.fingerprint
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet")} == times
    for wrong in (-1, "1", None, True, 1.5):
        with pytest.raises(FedkitError, match="world_seed .*whole number"):
            Session("smoke", results_dir=tmp_path, world_seed=wrong)


def test_another_world_needs_a_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr("fedkit.mini.records._GENERATORS", tmp_path / "tools" / "world")
    assert Session("smoke", results_dir=tmp_path).build("gsm8k").located.kind == "embedded"
    with pytest.raises(FedkitError, match="world_seed 1: .* work in a checkout of fedkit, or leave world_seed out"):
        Session("smoke", results_dir=tmp_path, world_seed=1)


def test_training_twice_trains_once(session, dataset, untrainable):
    config = session.plan("fedavg", dataset)
    first = session.train(config, dataset)
    assert first.folder.parent == session.folder / "runs" and len(first.history) == config.train.rounds
    untrainable()
    again = session.train(config, dataset)
    assert again.folder == first.folder and same(again.adapter, first.adapter)
    other = Session("smoke", results_dir=session.folder)  # another notebook
    assert other.train(other.plan("fedavg", dataset), dataset).folder == first.folder


def test_train_all_gives_what_train_gives(session, dataset, tmp_path, untrainable):
    configs = [session.plan("fedavg", dataset), session.plan_local(dataset, "b"), session.plan("scaffold", dataset)]
    together = session.train_all(configs, dataset, suite="ref", jobs=1)
    alone = Session("smoke", results_dir=tmp_path / "alone")
    for config, run in zip(configs, together, strict=True):
        one = alone.train(config, dataset)
        assert run.config == config and one.folder != run.folder
        assert same(one.adapter, run.adapter) and without_time(one.history) == without_time(run.history)
    untrainable()
    assert [r.folder for r in session.train_all(configs, dataset, suite="ref")] == [r.folder for r in together]
    assert session.evaluate(together[0], "ref").cached == ("ref",)  # put through the suite on the way


def test_questions_of_ones_own_are_asked(session, dataset):
    """In place of the dataset's, by `evaluate` and by `train_all`; other questions are other answers."""
    own = session.questions("fed_aya")[:3]
    (run,) = session.train_all([session.plan("fedavg", dataset)], dataset, suite="ref", questions=own)
    row = session.evaluate(run, "ref", questions=own)
    assert row.cached == ("ref",) and list(row.items_frame("ref")["id"]) == [question.id for question in own]
    every = session.evaluate(run, "ref").items_frame("ref").set_index("id")
    assert len(every) > 3
    for line in row.items_frame("ref").itertuples():
        assert line.score == every.loc[line.id, "score"]


def test_a_worker_process_gives_what_train_gives(session, dataset, tmp_path, monkeypatch, untrainable):
    """The adapter, and the row of its suite, which is then there."""
    monkeypatch.setattr("fedkit.evaluation.exam.SHORT", 0)
    monkeypatch.setattr(Session, "train", None)
    config = session.plan("fedavg", dataset)
    (run,) = session.train_all([config], dataset, suite="ref", jobs=2)
    monkeypatch.undo()
    other = Session("smoke", results_dir=tmp_path / "alone")
    alone = other.train(config, dataset)
    assert run.config == config and run.folder != alone.folder and same(run.adapter, alone.adapter)
    row = other.evaluate(alone, "ref")
    untrainable()
    assert session.evaluate(run, "ref").items_frame("ref").equals(row.items_frame("ref"))


def test_rows_are_kept(session, dataset, untrainable):
    run = session.train(session.plan("fedavg", dataset), dataset)
    base, tuned = session.evaluate("fed_aya"), session.evaluate(run)
    frame = base.items_frame("ref")
    assert frame.score.between(1, 10).all() and list(frame.answer) != list(tuned.items_frame("ref").answer)
    untrainable()
    for before, again in ((base, session.evaluate("fed_aya")), (tuned, session.evaluate(run))):
        pd.testing.assert_frame_equal(before.items_frame("ref"), again.items_frame("ref"), check_exact=True)
        pd.testing.assert_series_equal(before.series(), again.series(), check_exact=True)
        assert again.cached == ("ref",)
    with pytest.raises(AssertionError, match="done before"):
        session.evaluate(run, limit=8)  # other questions are other answers


def test_the_loaded_model_carries_what_is_asked_for(session, dataset):
    run = session.train(session.plan("fedavg", dataset), dataset)
    assert same(adapter_state(session.loaded(run).model), run.adapter)
    base = session.loaded()
    assert all(not t.any() for name, t in adapter_state(base.model).items() if ".lora_B." in name)
    ids = torch.tensor([[0, 5, 9, 11]])
    with torch.no_grad(), base.model.disable_adapter():
        bare = base.model(input_ids=ids).logits
    with torch.no_grad():
        torch.testing.assert_close(base.model(input_ids=ids).logits, bare)


def test_handles_do_not_disturb_each_other(session, dataset):
    """One base model in memory: each handle answers with its own adapter, also after training and after a change."""
    run = session.train(session.plan("fedavg", dataset), dataset)
    tuned, base = session.loaded(run), session.loaded("fed_aya")
    ids = torch.tensor([[0, 5, 9, 11]])

    def logits(handle):
        with torch.no_grad():
            return handle.model(input_ids=ids).logits

    first, plain = logits(tuned), logits(base)
    assert not torch.equal(first, plain)
    assert torch.equal(logits(tuned), first) and torch.equal(logits(base), plain)
    assert base.model is tuned.model and base.tokenizer is tuned.tokenizer
    other = session.train(session.plan("fedprox", dataset, mu=0.5), dataset)  # on the same base model
    assert torch.equal(logits(tuned), first) and same(tuned.carried(), run.adapter)
    set_adapter_state(base.model, other.adapter)  # what a handle's adapter becomes stays with it
    assert torch.equal(logits(tuned), first) and same(base.carried(), other.adapter)
    assert same(adapter_state(base.model), other.adapter)


def test_a_handle_is_loaded_when_it_is_first_used(session, dataset, monkeypatch):
    run = session.train(session.plan("fedavg", dataset), dataset)
    session.evaluate(run)
    monkeypatch.setattr("fedkit.evaluation.handles.shared", None)
    assert session.evaluate(run).cached == ("ref",)
    assert (session.loaded(run).template, session.loaded(run).dataset) == ("alpaca", "fed_aya")


def test_a_dataset_with_a_lora_of_its_own(session, dataset):
    """As the paper profile has it: rank 16 for Fed-Aya, 32 for gsm8k. A run knows its model."""
    wide = replace(SMOKE.model, lora=replace(SMOKE.model.lora, r=2))
    own = {"fed_aya": replace(SMOKE.dataset("fed_aya"), model=wide)}
    session.profile = replace(SMOKE, datasets={**SMOKE.datasets, **own})
    run = session.train(session.plan("fedavg", dataset), dataset)
    assert {t.shape[0] for name, t in run.adapter.items() if ".lora_A." in name} == {2}
    assert session.evaluate(run).items_frame("ref").score.notna().all()
    assert same(adapter_state(session.loaded(run).model), run.adapter)
    assert same(adapter_state(session.loaded("fed_aya", run.adapter).model), run.adapter)
    for wrong in (lambda: session.loaded(None, run.adapter), lambda: session.loaded("gsm8k", run.adapter)):
        with pytest.raises(FedkitError, match="the adapter does not fit this model"):
            wrong()
    with pytest.raises(FedkitError, match="a dict is no model; give a run or a dataset's name"):
        session.loaded(run.adapter)
    assert same(adapter_state(session.loaded(run).model), run.adapter)


def test_the_tokenizer_needs_no_model(session):
    assert session.tokenizer.eos_token_id == session.loaded().tokenizer.eos_token_id


def test_a_dataset_is_saved_once_for_other_processes(session, dataset):
    from fedkit.data.federated import FederatedDataset

    place = session.saved(dataset)
    times = {p.name: p.stat().st_mtime_ns for p in place.iterdir()}
    assert session.saved(dataset) == place and {p.name: p.stat().st_mtime_ns for p in place.iterdir()} == times
    assert FederatedDataset.load(place).fingerprint == dataset.fingerprint
    assert session.saved(make_federation([2, 2, 2], name="fed_aya")) != place
    (place / "table.arrow").write_bytes(b"ARROW1, and damaged")  # what lies there is believed by its content alone
    assert session.saved(dataset) == place and FederatedDataset.load(place).fingerprint == dataset.fingerprint


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"settings": {"round": 3}}, "unknown training setting .*'round'.*; known: rounds, clients_per_round"),
        ({"algorithm": "fedawg"}, "unknown algorithm 'fedawg'; known: .*fedadam"),
        ({"nu": 0.1}, "unknown parameter of fedavg 'nu'; known: none"),
    ],
)
def test_mistakes_in_a_plan(session, dataset, arguments, message):
    with pytest.raises(FedkitError, match=message):
        session.plan(**{"algorithm": "fedavg", "dataset": dataset} | arguments)


def test_a_dataset_or_client_that_is_not_there(session, dataset):
    own = session.plan("fedavg", make_federation([2, 2], name="toy"))  # one's own dataset has the profile's default
    assert (own.dataset, own.train) == ("toy", SMOKE.default.train)
    with pytest.raises(FedkitError, match="unknown dataset 'toy'; known: .*fed_aya, "):
        session.loaded("toy")
    with pytest.raises(FedkitError, match="fed_aya has no client 'nobody'"):
        session.plan_local(dataset, "nobody")


def test_a_setting_of_the_wrong_type_stops_before_anything_is_written(session, dataset):
    config = session.plan("fedavg", dataset, settings={"local_steps": "2"})
    with pytest.raises(FedkitError, match="local_steps is '2'; it must be a whole number of at least 1"):
        session.train(config, dataset)
    assert list((session.folder / "runs").iterdir()) == []


def test_an_unknown_profile(tmp_path):
    with pytest.raises(FedkitError, match="unknown profile 'minni'; known: course, mini, paper, smoke"):
        Session("minni", results_dir=tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_a_results_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        FedkitError, match="the results folder cannot be written .*; give another results_dir"
    ) as caught:
        Session("smoke", results_dir=tmp_path / "file" / "results")
    assert str(tmp_path / "file" / "results") in str(caught.value)


def test_results_go_to_the_checkout_around(tmp_path, monkeypatch):
    (tmp_path / "reproduce.py").write_text("")
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert project_root() == tmp_path
    assert Session("smoke").folder == tmp_path / "results" / "smoke"
    monkeypatch.chdir(tmp_path.parent)
    assert project_root() != tmp_path

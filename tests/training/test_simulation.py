"""The round loop: rates, sampling, history, bytes, sharing by hash, resume, bad input and clients that fail."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from core_tools import SHORT, largest, make_config, random_state, same, without_time

from fedkit.algorithms import Broadcast, make_algorithm
from fedkit.common.errors import FedkitError
from fedkit.privacy.primitives import sample_clients
from fedkit.training import simulation
from fedkit.training.checkpoint import read_checkpoint, read_lines
from fedkit.training.models import initial_state
from fedkit.training.refusals import check_end, reason
from fedkit.training.sft import SFTClient
from fedkit.training.simulation import cosine_rate, run

pytestmark = pytest.mark.usefixtures("frozen")
replace = dataclasses.replace
# Each of 2 layers has 4 projections 64 -> 64, two 64 -> 128 and one 128 -> 64; LoRA of rank 4 has (in + out) * 4.
ADAPTER_BYTES = 4 * 2 * 4 * (4 * (64 + 64) + 3 * (64 + 128))


@pytest.fixture
def go(tiny_loaded, tiny_spec, federation, tmp_path):
    """Run a configuration of that algorithm in a folder of this test."""

    def go(algorithm="fedavg", folder="runs", train=SHORT, seed=0, clients=None, on_client=None, **params):
        config = make_config(tiny_spec, federation, algorithm, train, seed, clients, **params)
        return run(config, federation, tmp_path / folder, loaded=tiny_loaded, progress=False, on_client=on_client)

    return go


@pytest.fixture
def poison(monkeypatch):
    """Makes the named clients return NaN, and collects what the others return: {(round, client): adapter}."""

    def poison(*names):
        kept, real = {}, SFTClient.train

        def train(self, client, message, algorithm, client_state):
            result = real(self, client, message, algorithm, client_state)
            kept[message.round, client] = result.local
            if client not in names:
                return result
            broken = {name: t.clone() for name, t in result.local.items()}
            next(iter(broken.values()))[0, 0] = math.nan
            return replace(result, local=broken, loss=math.nan)

        monkeypatch.setattr(SFTClient, "train", train)
        return kept

    return poison


def test_the_cosine_rate():
    """First rate in round 0, half way in the middle, the last rate where round T would begin."""
    train = replace(SHORT, rounds=200, lr_first=2e-5, lr_last=1e-6)
    assert cosine_rate(train, 0) == 2e-5 and cosine_rate(train, 200) == pytest.approx(1e-6, rel=1e-12)
    assert cosine_rate(train, 100) == pytest.approx((2e-5 + 1e-6) / 2, rel=1e-12)
    assert cosine_rate(train, 50) == pytest.approx(1e-6 + 1.9e-5 * (1 + 2**-0.5) / 2, rel=1e-12)
    rates = [cosine_rate(train, t) for t in range(201)]
    assert rates == sorted(rates, reverse=True)


def test_clients_are_drawn_evenly_without_replacement():
    draws = [sample_clients(38, 4, 0, t) for t in range(2000)]
    assert all(len(set(d)) == 4 and d == sorted(d) and 0 <= d[0] and d[-1] < 38 for d in draws)
    counts = np.bincount(np.concatenate(draws), minlength=38)  # binomial: 2000 draws at 4 / 38
    p = 4 / 38
    assert (abs(counts - 2000 * p) < 4.5 * math.sqrt(2000 * p * (1 - p))).all()
    assert draws[:9] == [sample_clients(38, 4, 0, t) for t in range(9)]
    assert sample_clients(3, 3, 5, 9) == [0, 1, 2]


def test_history_says_what_happened(go, federation):
    done = go()
    assert [line["round"] for line in done.history] == [0, 1]
    for t, line in enumerate(done.history):
        assert line["lr"] == cosine_rate(SHORT, t)
        names = [federation.clients[i] for i in sample_clients(5, 2, 0, t)]
        assert [c["client"] for c in line["clients"]] == names
        sizes = [c["samples"] for c in line["clients"]]
        assert sizes == [int(federation.sizes[federation.position(n)]) for n in names]
        losses = [c["loss"] for c in line["clients"]]
        assert line["loss"] == pytest.approx(np.average(losses, weights=sizes), rel=1e-12)
        assert line["reported"] == 2 and line["left_out"] == []
        for c in line["clients"]:
            assert c["steps"] == 2 and c["left_out"] is None and c["skipped_records"] == 0
            assert c["update_norm"] > 0 and 0 < c["seconds"] <= line["seconds"]
        assert line["tokens"] == sum(c["tokens"] for c in line["clients"]) > 0


def test_the_manifest_sums_the_history(go):
    done = go()
    manifest = done.manifest
    for name in ("bytes_down", "bytes_up", "tokens"):
        assert manifest[name] == sum(line[name] for line in done.history) > 0
    assert manifest["seconds"] == pytest.approx(sum(line["seconds"] for line in done.history))
    assert manifest["rounds"] == 2 and manifest["left_out"] == 0
    assert manifest["config"] == done.config.as_dict() == json.loads((done.folder / "config.json").read_text())
    assert manifest["device"].startswith("cpu") and manifest["threads"] == 1
    assert manifest["versions"]["torch"] == torch.__version__ and manifest["peak_memory_mb"] > 100


@pytest.mark.parametrize("algorithm, times", [("fedavg", 1), ("fedprox", 1), ("scaffold", 2), ("fedadam", 1)])
def test_bytes_follow_from_the_shapes(go, algorithm, times):
    """Float32 adapters, once each way; SCAFFOLD sends a variate beside each."""
    for line in go(algorithm, train=replace(SHORT, rounds=1)).history:
        assert [(c["bytes_down"], c["bytes_up"]) for c in line["clients"]] == [(times * ADAPTER_BYTES,) * 2] * 2
        assert line["bytes_down"] == line["bytes_up"] == 2 * times * ADAPTER_BYTES


def test_training_teaches(go):
    history = go(train=replace(SHORT, rounds=4, clients_per_round=5, batch_size=8)).history
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]


def test_the_server_goes_on_from_the_mean(go, tiny_loaded, federation):
    """Two rounds by hand: global + sum n_k (local_k - global) / sum n_k, and the next round starts there."""
    client = SFTClient(tiny_loaded, federation, SHORT, seed=0)
    w = initial_state(tiny_loaded.model, 0)
    for t in range(2):
        names = [federation.clients[i] for i in sample_clients(5, 2, 0, t)]
        message = Broadcast(w, {}, cosine_rate(SHORT, t), t)
        ends = [client.train(n, message, make_algorithm("fedavg"), {}).local for n in names]
        n = [len(federation.records(name)) for name in names]
        w = {k: (n[0] * ends[0][k] + n[1] * ends[1][k]) / sum(n) for k in w}
    client.close()
    assert largest(go().adapter, w) < 2e-5


def test_local_is_one_client_trained_on_and_on(go, tiny_loaded, federation):
    train = replace(SHORT, clients_per_round=1)
    done = go("local", train=train, clients=("d",))
    client = SFTClient(tiny_loaded, federation, train, seed=0)
    w = initial_state(tiny_loaded.model, 0)
    for t in range(2):
        w = client.train("d", Broadcast(w, {}, cosine_rate(train, t), t), make_algorithm("local"), {}).local
    client.close()
    assert largest(done.adapter, w) < 1e-6
    assert [[c["client"] for c in line["clients"]] for line in done.history] == [["d"], ["d"]]


def test_a_run_of_some_clients_draws_only_those(go):
    history = go(train=replace(SHORT, rounds=4), clients=("b", "d", "e")).history
    drawn = {c["client"] for line in history for c in line["clients"]}
    assert drawn <= {"b", "d", "e"} and len(drawn) > 1


def test_a_run_is_named_by_everything_that_it_depends_on(tiny_spec, federation):
    base = make_config(tiny_spec, federation, "fedprox", mu=0.1)
    assert base.hash == make_config(replace(tiny_spec), federation, "fedprox", mu=0.1).hash
    changes = [
        {"dataset": "x"},
        {"fingerprint": "x"},
        {"algorithm": "fedavg"},
        {"seed": 1},
        {"params": {"mu": 0.2}},
        {"params": {}},
        {"clients": ("a",)},
        {"base": "x"},
        {"code": "x"},
        {"model": replace(tiny_spec, dtype="bfloat16")},
        {"model": replace(tiny_spec, lora=replace(tiny_spec.lora, r=8))},
    ]
    for f in dataclasses.fields(SHORT):
        value = getattr(SHORT, f.name)
        other = f"not {value}" if isinstance(value, str) else 2 * value if value else 1.5
        changes.append({"train": replace(SHORT, **{f.name: other})})
    hashes = {replace(base, **change).hash for change in changes} | {base.hash}
    assert len(hashes) == len(changes) + 1 and all(len(h) == 12 and int(h, 16) >= 0 for h in hashes)


def test_a_finished_run_is_taken_as_it_is(go, monkeypatch):
    first = go()
    times = {p.name: p.stat().st_mtime_ns for p in first.folder.iterdir()}
    monkeypatch.setattr(simulation, "client_class", None)
    monkeypatch.setattr(simulation, "load_model", None)
    again = go()
    assert again == first and same(again.adapter, first.adapter)
    assert {p.name: p.stat().st_mtime_ns for p in first.folder.iterdir() if p.name != "lock"} == {
        name: t for name, t in times.items() if name != "lock"
    }


def test_only_results_are_left_of_a_finished_run(go):
    names = {p.name for p in go().folder.iterdir()} - {"lock"}
    assert names == {"config.json", "history.jsonl", "adapter.safetensors", "manifest.json"}


def test_two_seeds_are_two_runs(go):
    zero, one = go(), go(seed=1)
    assert zero.folder != one.folder and largest(zero.adapter, one.adapter) > 1e-3
    drawn = [[c["client"] for line in r.history for c in line["clients"]] for r in (zero, one)]
    assert drawn[0] != drawn[1]


class Stop(Exception):
    pass


@pytest.mark.parametrize("algorithm", ["fedavg", "scaffold", "fedadam"])
def test_a_run_stopped_after_every_single_client_ends_the_same(go, algorithm):
    whole = go(algorithm, folder="whole")
    trained = []

    def stop(round, client):
        trained.append((round, client))
        raise Stop

    for _ in range(4):
        with pytest.raises(Stop):
            go(algorithm, on_client=stop)
    resumed = go(algorithm, on_client=stop)  # all four clients are committed, so none is trained again
    assert trained == [(line["round"], c["client"]) for line in whole.history for c in line["clients"]]
    assert same(resumed.adapter, whole.adapter)
    assert without_time(resumed.history) == without_time(whole.history)
    assert resumed.manifest["seconds"] > 0


@pytest.mark.parametrize("algorithm", ["fedavg", "scaffold", "fedadam"])
def test_a_client_that_returns_nan_is_left_out_and_logged(go, poison, algorithm, tiny_loaded, federation):
    """All five clients a round: the server must see the four others, and only them."""
    seen = poison("d")
    train = replace(SHORT, clients_per_round=5)
    done = go(algorithm, train=train)
    good = [i for i in range(5) if federation.clients[i] != "d"]
    for line in done.history:
        assert line["left_out"] == ["d"] and line["reported"] == 4
        entry = line["clients"][3]
        assert entry["left_out"] == "update is not finite" and entry["loss"] is entry["update_norm"] is None
        losses, sizes = ([line["clients"][i][key] for i in good] for key in ("loss", "samples"))
        assert line["loss"] == pytest.approx(np.average(losses, weights=sizes), rel=1e-12)
    assert done.manifest["left_out"] == 2 and len(done.history) == 2
    assert all(bool(torch.isfinite(t).all()) for t in done.adapter.values())
    assert not list(done.folder.glob("clients/0000003.*"))  # no state of d, NaN or not
    if algorithm == "fedavg":
        w = initial_state(tiny_loaded.model, 0)
        for t in range(2):
            deltas = [{k: seen[t, federation.clients[i]][k] - w[k] for k in w} for i in good]
            n = [int(federation.sizes[i]) for i in good]
            w = {k: w[k] + sum(x * d[k] for x, d in zip(n, deltas, strict=True)) / sum(n) for k in w}
        assert largest(done.adapter, w) < 1e-5


def test_the_round_is_that_of_the_others_alone(go, poison):
    """One round of a to e with d broken equals one round of a, b, c, e, since draws hang on names, not on places."""
    train = replace(SHORT, rounds=1)
    others = go(train=replace(train, clients_per_round=4), clients=("a", "b", "c", "e"), folder="others")
    poison("d")
    broken = go(train=replace(train, clients_per_round=5))
    assert same(broken.adapter, others.adapter)


@pytest.mark.parametrize("algorithm", ["fedavg", "scaffold", "fedadam"])
def test_a_run_in_which_every_client_fails_is_no_success(go, poison, tiny_loaded, tmp_path, algorithm):
    """Nor when it is started again, which trains nothing: what it came to is on disk."""
    trained, said = poison(*"abcde"), "none of the last 2 of 2 rounds counted .*left out: update is not finite.*; lower"
    for _ in range(2):
        with pytest.raises(FedkitError, match=said):
            go(algorithm)
    (folder,) = (tmp_path / "runs").iterdir()
    lines = list(read_lines(folder / "history.jsonl"))
    assert [(line["reported"], line["loss"], len(line["left_out"])) for line in lines] == [(0, None, 2)] * 2
    assert same(read_checkpoint(folder / "checkpoint.safetensors")[0].adapter, initial_state(tiny_loaded.model, 0))
    assert len(trained) == 4 and not (folder / "manifest.json").exists()


def test_a_run_that_really_diverges_says_so_and_leaves_valid_json(go, tmp_path):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    with pytest.raises(FedkitError, match="none of the last 2 of 2 rounds counted"):
        go(train=replace(SHORT, lr_first=1e30, lr_last=1e30))
    (path,) = tmp_path.glob("runs/*/history.jsonl")
    for line in path.read_text().splitlines():
        clients = json.loads(line, parse_constant=refuse)["clients"]
        assert all(c["left_out"] and c["loss"] is None for c in clients)  # the first step's loss was finite


@pytest.mark.parametrize(
    "rounds, fine",
    [
        ("x", False),
        (".", True),
        ("x.", True),
        (".x", True),  # one of the last two counted
        ("xx", False),
        (".xx", False),
        ("x" * 14 + ".", True),
        ("." * 11 + "xxxx", False),  # a quarter of 15, rounded up, is 4
        ("." * 12 + "xxx", True),
        ("." * 150 + "x" * 50, False),
        ("." * 151 + "x" * 49, True),
    ],
)
def test_a_run_counts_if_one_of_its_last_rounds_does(rounds, fine):
    """Of min(T, max(2, ceil(T / 4))) rounds."""
    whys = [None if mark == "." else "left out" for mark in rounds]
    if fine:
        check_end(whys)
    else:
        with pytest.raises(FedkitError, match="rounds counted"):
            check_end(whys)


@pytest.mark.parametrize(
    "line, counts",
    [
        ({"dropped": None, "clients": [], "reported": 0}, True),  # chance drew nobody
        ({"dropped": None, "clients": [{"left_out": None}], "reported": 1}, True),
        ({"dropped": None, "clients": [{"left_out": "a"}, {"left_out": None}], "reported": 1}, True),
        ({"dropped": None, "clients": [{"left_out": "a"}], "reported": 0}, False),
        ({"dropped": "b", "clients": [{"left_out": None}], "reported": 1}, False),
    ],
)
def test_which_rounds_count(line, counts):
    assert (reason(line) is None) == counts


@pytest.mark.parametrize(
    "change, message",
    [
        ({"clients_per_round": 6}, "a round samples 6 clients, but toy has 5; lower clients_per_round or the minimum"),
        ({"clients_per_round": 0}, "clients_per_round is 0; it must be a whole number of at least 1"),
        ({"rounds": -1}, "rounds is -1; it must be a whole number of at least 1"),
        ({"rounds": "3"}, "rounds is '3'; it must be a whole number of at least 1"),
        ({"local_steps": 2.5}, "local_steps is 2.5; it must be a whole number of at least 1"),
        ({"batch_size": True}, "batch_size is True; it must be a whole number of at least 1"),
        ({"grad_accum": 0}, "grad_accum is 0; it must be a whole number of at least 1"),
        ({"lr_first": 0.0}, "lr_first is 0.0; it must be a number above 0"),
        ({"lr_last": math.nan}, "lr_last is nan; it must be a number above 0"),
        ({"lr_first": "1e-3"}, "lr_first is '1e-3'; it must be a number above 0"),
        ({"lr_first": 1e-45}, "lr_first is 1e-45, which single precision cannot work with; it must lie between 1e-30"),
        ({"lr_last": 1e38}, r"lr_last is 1e\+38, which single precision cannot work with; .* and 1e\+30"),
        ({"lr_first": 10**400}, "lr_first is 1000"),
        ({"max_update_norm": 0}, "max_update_norm is 0; it must be a number above 0"),
        ({"max_update_norm": True}, "max_update_norm is True; it must be a number above 0"),
        ({"without_room": "skip"}, "unknown setting of without_room 'skip'; known: leave_out, refuse"),
    ],
)
def test_settings_that_cannot_run(go, tmp_path, change, message):
    with pytest.raises(FedkitError, match=message):
        go(train=replace(SHORT, **change))
    assert not (tmp_path / "runs").exists()  # refused before anything is written


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"algorithm": "fedawg"}, "unknown algorithm 'fedawg'"),
        ({"algorithm": "fedprox", "nu": 1.0}, "unknown parameter of fedprox 'nu'; known: mu"),
        ({"algorithm": "local"}, "algorithm 'local' trains one client, but 5 were given"),
        ({"algorithm": "local", "clients": ("a", "b")}, "algorithm 'local' trains one client, but 2 were given"),
        ({"clients": ("a", "nobody")}, "toy has no client 'nobody'"),
        ({"clients": ("a",)}, "a round samples 2 clients, but toy has 1"),
    ],
)
def test_federations_that_cannot_run(go, tmp_path, arguments, message):
    with pytest.raises(FedkitError, match=message):
        go(**arguments)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"max_length": 8}, "client .* of toy: max_length 8 leaves no answer token in any of .* records"),
        ({"template": "alpca"}, "unknown template 'alpca'"),
    ],
)
def test_texts_that_cannot_be_trained_on(go, change, message):
    with pytest.raises(FedkitError, match=message):
        go(train=replace(SHORT, **change))


@pytest.mark.parametrize("inside", ["a file", "a file in place of the run", "a lock that is no file"])
def test_a_folder_that_cannot_be_written(go, tmp_path, tiny_spec, federation, inside):
    if inside == "a file":
        (tmp_path / "runs").write_text("not a folder")
    else:
        folder = tmp_path / "runs" / make_config(tiny_spec, federation).hash
        folder.parent.mkdir()
        if inside == "a file in place of the run":
            folder.write_text("not a folder")
        else:
            (folder / "lock").mkdir(parents=True)
    with pytest.raises(FedkitError, match="cannot be written .*; give another --results folder"):
        go()


def test_progress_is_shown_where_asked_for(tiny_loaded, tiny_spec, federation, tmp_path, capsys):
    config = make_config(tiny_spec, federation, seed=3)
    run(config, federation, tmp_path, loaded=tiny_loaded, progress=True)
    shown = capsys.readouterr()
    assert "fedavg on toy, seed 3" in shown.err and "4/4" in shown.err
    run(replace(config, seed=4), federation, tmp_path, loaded=tiny_loaded, progress=False)
    quiet = capsys.readouterr()
    assert quiet.out == quiet.err == "" and shown.out == ""


def test_the_adapter_of_the_model_at_hand_does_not_matter(go, tiny_loaded):
    """A model that has just served another run starts this one from the same initial adapter."""
    from fedkit.training.models import set_adapter_state

    first = go(folder="one")
    set_adapter_state(tiny_loaded.model, random_state(tiny_loaded.model, 8))
    assert same(go(folder="two").adapter, first.adapter)


def test_a_finished_run_needs_no_right_to_write(go):
    """No lock is taken where there is nothing to write, so results on a read-only disk can be read."""
    first = go()
    (first.folder / "lock").unlink(missing_ok=True)
    assert go() == first and not (first.folder / "lock").exists()

"""The parts of the runner, without starting a kernel: options, notebooks, parameters, fingerprints, plans, records."""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from types import SimpleNamespace

import pytest
from runner_tools import ROOT, write_notebook

from fedkit.common.errors import FedkitError
from fedkit.profiles import PROFILES, get_profile
from fedkit.report.setups import compare
from fedkit.runner.cli import main
from fedkit.runner.display import estimate_text, settings_text, table, words
from fedkit.runner.notebooks import choose, find_notebooks, needed, notebook_map, passed_over, read_notebook
from fedkit.runner.options import EPILOG, parse
from fedkit.runner.parameters import STANDARD, convert, declared, parameters
from fedkit.runner.plan import Step, data_hash, make_plan, notebook_hash, package_hash, time_left
from fedkit.runner.process import environment
from fedkit.runner.records import Outcome, read_status, results_lock, update_status, write_junit


def options(tmp_path, *words, profile="smoke"):
    folders = ["--notebooks", str(tmp_path / "notebooks"), "--results", str(tmp_path / "results")]
    return parse(["--profile", profile, *folders, *words], root=tmp_path)


@pytest.fixture
def notebooks(tmp_path):
    folder = tmp_path / "notebooks"
    write_notebook(folder, "10", "1", depends_on=["20"], own="rounds: int = 3\nrate = 0.1\nname = 'x'\nlimit = None")
    write_notebook(folder, "20", "1", products=["tables/20.csv"])
    write_notebook(folder, "30", "1")
    write_notebook(folder, "30s", "1")
    return folder


# --- options


def test_defaults_come_from_the_profile(tmp_path):
    given = parse([], root=tmp_path)
    assert (given.profile.name, given.seeds, given.jobs) == ("mini", PROFILES["mini"].seeds, 2)
    assert given.folder == tmp_path / "results" / "mini"
    assert parse(["--profile", "paper"], root=tmp_path).jobs == 1  # one GPU is not shared


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (["--profile", "huge"], "unknown profile 'huge'; known: course, mini, paper, smoke"),
        (["--jobs", "0"], "--jobs 0: give at least 1"),
        (["--jobs", "many"], "invalid int value: 'many'"),
        (["--seeds", "1", "1"], "give different whole numbers"),
        (["--seeds", "-1"], "whole numbers from 0 up"),
        (["--model", "./nowhere"], "nowhere does not exist; give one with config.json and weights"),
        (["--model", ""], "the base model's name is empty"),
        (["--world-seed", "-1"], "world_seed [-1]: give different whole numbers from 0 up"),
        (["--results", "~nosuchuser/x"], "'~nosuchuser/x' is no path on this machine"),
        (["--data-dir", "/nowhere/at/all"], "--data-dir /nowhere/at/all: it does not exist"),
        (["--data-dir", "~nosuchuser/data"], "'~nosuchuser/data' is no path on this machine"),
        (["--notebooks", "~nosuchuser"], "'~nosuchuser' is no path on this machine"),
        (["--data-dir", ""], "an empty word is given where a path belongs"),
        (["--results", ""], "an empty word is given where a path belongs"),
        (["--data-dir", "x" * 5000], "it does not exist; give the folder"),
        (["--frobnicate"], "unrecognized arguments: --frobnicate; see python reproduce.py --help"),
        (["-p", "rounds"], "expected 2 arguments"),
        (["--list", "--plan"], "not allowed with"),
        (["--judge-url", "http://localhost:8000/v1"], "give --judge-model as well"),
        (["--judge-model", "m", "--judge-url", "http://me:secret@localhost/v1"], "would be written into notebooks"),
        (["--judge-model", "m", "--judge-url", "localhost:8000"], "no web address"),
    ],
)
def test_a_bad_option_is_one_sentence(tmp_path, capsys, call, said):
    assert main(call, root=tmp_path) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("\n") == 1 and captured.out == ""
    assert not (tmp_path / "results").exists()


def test_another_base_and_world_reach_the_notebooks(notebooks, tmp_path):
    """Under their names in the parameters cell; a notebook that would run on another base in silence is refused."""
    call = ["--only", "30", "--model", "own/model", "--world-seed", "7"]
    given = replace(parse(call, root=tmp_path), notebooks=notebooks)
    assert given.profile.model == replace(PROFILES["mini"].model, name="own/model")
    with pytest.raises(FedkitError, match="--model: notebook 30 does not take it; add `base_model`"):
        parameters([find_notebooks(notebooks)["30"]], given)
    write_notebook(notebooks, "30", "1", own="base_model = None\nworld_seed = 0")
    (values,) = parameters([find_notebooks(notebooks)["30"]], given).values()
    assert (values["base_model"], values["world_seed"]) == ("own/model", 7)
    plain = replace(parse([], root=tmp_path), notebooks=notebooks)
    assert not {"base_model", "world_seed"} & set(parameters([find_notebooks(notebooks)["30"]], plain)["30"])
    with pytest.raises(FedkitError, match="-p base_model: every notebook gets it from --model; use that"):
        parameters([find_notebooks(notebooks)["30"]], replace(plain, params=(("base_model", "x"),)))


def examples():
    """All calls of reproduce.py in the README's and the help's examples, DIR being a data folder."""
    text = (ROOT / "README.md").read_text(encoding="utf-8") + EPILOG
    lines = re.findall(r"^ *python reproduce\.py(.*?)(?: {2,}.*| *#.*)?$", text, re.MULTILINE)
    return sorted({line.strip() for line in lines})


@pytest.mark.parametrize("line", examples())
def test_the_examples_of_readme_and_help_are_taken(tmp_path, capsys, monkeypatch, line):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    (tmp_path / "gsm8k").mkdir()
    (tmp_path / "gsm8k" / "train.jsonl").write_text('{"question": "1 + 1?", "answer": "2 #### 2"}\n')
    call = [str(tmp_path) if word == "DIR" else word for word in line.split()]
    call += ["--results", str(tmp_path / "results"), *([] if {"--list", "--plan"} & set(call) else ["--plan"])]
    assert main(call, root=ROOT) == 0, capsys.readouterr().err
    assert capsys.readouterr().err == ""


# --- notebooks


def test_order_follows_dependencies_then_numbers(notebooks):
    found = find_notebooks(notebooks)
    assert list(found) == ["20", "10", "30", "30s"]
    assert choose(found, [], solutions=False) == ["20", "10", "30"]
    assert choose(found, ["30"], solutions=True) == ["30", "30s"]
    assert choose(found, ["30s"], solutions=False) == ["30s"]
    assert needed(found, ["10"]) == ["20", "10"]


def test_unknown_number(notebooks):
    with pytest.raises(FedkitError, match="unknown notebook 77, 41; known: 20, 10, 30, 30s"):
        choose(find_notebooks(notebooks), ["77", "10", "41"], solutions=False)


def test_circle_unknown_dependency_and_double_number(tmp_path):
    write_notebook(tmp_path, "10", depends_on=["20"])
    with pytest.raises(FedkitError, match="depends_on 20, which is no notebook"):
        find_notebooks(tmp_path)
    write_notebook(tmp_path, "20", depends_on=["10"])
    with pytest.raises(FedkitError, match="in a circle: 10 -> 20 -> 10"):
        find_notebooks(tmp_path)
    write_notebook(tmp_path, "20").rename(tmp_path / "20_other.ipynb")
    write_notebook(tmp_path, "20")
    with pytest.raises(FedkitError, match="20_other.ipynb have one number, 20|have one number"):
        find_notebooks(tmp_path)


def test_copies_are_passed_over(tmp_path):
    """As JupyterLab, Windows, macOS and browsers name them; one under a plain name is an error that says what to do."""
    path = write_notebook(tmp_path, "31")
    copies = ["31_sample-Copy1", "31_sample - Copy", "31_sample copy", "31_sample (1)", "31_sample.sync-conflict"]
    for name in copies:
        (tmp_path / f"{name}.ipynb").write_bytes(path.read_bytes())
    assert list(find_notebooks(tmp_path)) == ["31"]
    assert passed_over(tmp_path) == sorted(f"{name}.ipynb" for name in copies)
    assert len(notebook_map(tmp_path)) == 1
    (tmp_path / "31_mine.ipynb").write_bytes(path.read_bytes())
    with pytest.raises(FedkitError, match="have one number, 31; rename the one that is yours"):
        find_notebooks(tmp_path)


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        ({"number": "11"}, "number '11' is not the number in its file name"),
        ({"minutes": 3}, "fedkit.minutes must be a dict, not 3"),
        ({"minutes": {"smoke": "long"}}, "fedkit.minutes must hold minutes, not {'smoke': 'long'}"),
        ({"minutes": {"smoke": float("inf")}}, "fedkit.minutes must hold minutes"),
        ({"products": "tables/x.csv"}, "fedkit.products must be a list"),
        ({"needs": [1]}, "fedkit.needs must be a list"),
        ({"title": None}, "fedkit.title must be a str"),
    ],
)
def test_wrong_metadata_names_file_and_field(tmp_path, meta, said):
    path = write_notebook(tmp_path, "10", **({} if "number" in meta else meta))
    if "number" in meta:
        path.write_text(path.read_text().replace('"number": "10"', '"number": "11"'))
    with pytest.raises(FedkitError, match="10_sample.ipynb") as error:
        read_notebook(path)
    assert said in str(error.value)


def test_unreadable_notebook(tmp_path):
    path = tmp_path / "10_x.ipynb"
    cell = {"cell_type": "code", "source": 1}
    cells = ([1], [cell], [{}], {"a": 1}, [{**cell, "source": "", "metadata": {"tags": "parameters"}}])
    broken = [json.dumps({"metadata": {}, "cells": some}) for some in cells]
    for text in ("", "[]", '{"cells": []}', "[" * 100_000, *broken):
        path.write_text(text)
        with pytest.raises(FedkitError, match="10_x.ipynb: not a readable notebook"):
            read_notebook(path)


# --- parameters


def test_parameters_agree_with_papermill(notebooks):
    import papermill

    path = notebooks / "10_sample.ipynb"
    theirs = papermill.inspect_notebook(str(path))
    ours = declared(read_notebook(path))
    assert list(ours) == list(theirs)
    for name, item in ours.items():
        assert item.text.replace('"', "'") == theirs[name]["default"].replace('"', "'")
    assert ours["rounds"].kinds == (int,) and theirs["rounds"]["inferred_type_name"] == "int"


def test_a_judge_goes_to_the_notebooks_that_ask_one(notebooks, tmp_path):
    write_notebook(notebooks, "40", "1", own="judge_model = None\njudge_url = None\njudge_prompts = None")
    words = ["--judge-model", "paper", "--judge-url", "https://judge.example.org/v1"]
    found = find_notebooks(notebooks)
    values = parameters([found["20"], found["40"]], options(tmp_path, *words))
    assert "judge_model" not in values["20"]
    assert (values["40"]["judge_model"], values["40"]["judge_url"]) == ("paper", "https://judge.example.org/v1")
    assert "judge_model" not in parameters([found["40"]], options(tmp_path))["40"]  # the notebook's own None
    with pytest.raises(FedkitError, match="--judge-model: none of 20 asks a judge"):
        parameters([found["20"]], options(tmp_path, *words))


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("rounds", "5", 5),
        ("rate", "1", 1.0),
        ("rate", "1e-3", 1e-3),
        ("name", "5", "5"),
        ("name", "fed avg", "fed avg"),
        ("limit", "7", 7),
        ("limit", "None", None),
        ("limit", "{1, 2}", "{1, 2}"),
        ("limit", "b'x'", "b'x'"),
        ("limit", "{1: 2, 'a': 3}", "{1: 2, 'a': 3}"),
        ("limit", "(" * 5000, "(" * 5000),
        ("seeds", "(1, 2)", [1, 2]),
        ("offline", "true", True),
    ],
)
def test_convert(notebooks, name, text, value):
    result = convert(declared(read_notebook(notebooks / "10_sample.ipynb"))[name], text)
    assert result == value and type(result) is type(value)


@pytest.mark.parametrize(("name", "text"), [("rounds", "2.5"), ("rounds", "many"), ("rounds", "True"), ("rate", "x")])
def test_wrong_type_is_refused(notebooks, name, text):
    with pytest.raises(FedkitError, match=f"-p {name} {text}: wants (int|float), as in its default"):
        convert(declared(read_notebook(notebooks / "10_sample.ipynb"))[name], text)


def test_parameter_reaches_only_those_that_have_it(tmp_path, notebooks):
    found = find_notebooks(notebooks)
    values = parameters([found["10"], found["20"]], options(tmp_path, "-p", "rounds", "5", "--seeds", "4", "2"))
    assert values["10"]["rounds"] == 5 and "rounds" not in values["20"]
    assert set(values["20"]) == set(STANDARD)
    assert values["20"] == {
        "profile": "smoke",
        "seeds": [4, 2],
        "data_dir": None,
        "offline": False,
        "results_dir": str(tmp_path / "results" / "smoke"),
    }


def test_unknown_and_reserved_parameters(tmp_path, notebooks):
    found = find_notebooks(notebooks)
    with pytest.raises(FedkitError, match="unknown parameter 'round' in 10, 20; these have limit, name, rate, rounds"):
        parameters([found["10"], found["20"]], options(tmp_path, "-p", "round", "5"))
    with pytest.raises(FedkitError, match="-p seeds: every notebook gets it from --seeds"):
        parameters([found["10"]], options(tmp_path, "-p", "seeds", "[1]"))


def test_missing_standard_parameter(tmp_path):
    path = write_notebook(tmp_path, "10", parameters=False)
    with pytest.raises(FedkitError, match="0 cells are tagged parameters"):
        declared(read_notebook(path))
    path = write_notebook(tmp_path, "10")
    path.write_text(path.read_text().replace("offline", "online"))
    with pytest.raises(FedkitError, match="does not set offline"):
        declared(read_notebook(path))


# --- fingerprints and plans


def test_notebook_hash_sees_text_not_outputs_or_minutes(tmp_path):
    path = write_notebook(tmp_path, "10", "1 + 1")
    before = notebook_hash(read_notebook(path))
    text = path.read_text()
    path.write_text(text.replace('"mini": 2', '"mini": 9').replace('"execution_count": null', '"execution_count": 4'))
    assert notebook_hash(read_notebook(path)) == before
    path.write_text(text.replace("1 + 1", "1 + 2"))
    assert notebook_hash(read_notebook(path)) != before


def test_package_hash_sees_every_file_but_caches(tmp_path):
    (tmp_path / "a.py").write_text("1")
    first = package_hash(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("x")
    assert package_hash(tmp_path) == first
    (tmp_path / "data.json").write_text("{}")
    assert package_hash(tmp_path) != first


def test_data_hash_sees_only_the_files_of_its_datasets(tmp_path):
    (tmp_path / "gsm8k").mkdir()
    file = tmp_path / "gsm8k" / "train.jsonl"
    file.write_text("{}\n")
    first = data_hash(tmp_path, ("gsm8k",))
    (tmp_path / "notes.txt").write_text("x")
    assert data_hash(tmp_path, ("gsm8k",)) == first
    os.utime(file, (1, 1))
    second = data_hash(tmp_path, ("gsm8k",))
    assert second != first
    (tmp_path / "fedllm_bench").mkdir()
    (tmp_path / "fedllm_bench" / "chatbot_test.json").write_text("[]")  # the questions of another dataset
    assert data_hash(tmp_path, ("gsm8k",)) == second
    (tmp_path / "vicuna_bench").mkdir()
    (tmp_path / "vicuna_bench" / "question.jsonl").write_text("{}\n")  # any notebook may run a benchmark
    assert data_hash(tmp_path, ("gsm8k",)) not in (first, second)
    of_all = data_hash(tmp_path, ("no_dataset",))
    (tmp_path / "notes.txt").write_text("xy")
    assert data_hash(tmp_path, ("no_dataset",)) != of_all
    assert data_hash(None, ("gsm8k",)) == data_hash(tmp_path, ())


def record_all(plan, folder):
    """Pretends that every step of a plan came through."""
    for step in plan:
        for name in (*step.notebook.products, f"notebooks/{step.number}.ipynb"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("x")
        update_status(folder, Outcome(step.number, "t", "ok", 3.0, fingerprint=dict(step.fingerprint)))


def states(plan):
    return {step.number: step.state for step in plan}


def test_plan_says_what_and_why(tmp_path, notebooks):
    plan = make_plan(options(tmp_path))
    assert states(plan) == {"20": "new", "10": "new", "30": "new"}
    assert not (tmp_path / "results").exists()
    folder = tmp_path / "results" / "smoke"
    record_all(plan, folder)
    assert set(states(make_plan(options(tmp_path))).values()) == {"unchanged"}
    assert make_plan(options(tmp_path))[0].seconds == 3.0  # measured, no longer the metadata's

    # forced: only what was asked for; its dependency is up to date and left out
    assert states(make_plan(options(tmp_path, "--only", "10", "--force"))) == {"10": "forced"}
    # another seed is another parameter
    assert make_plan(options(tmp_path, "--seeds", "5"))[2].why == "changed: parameters"
    # a parameter of one notebook leaves the others alone
    assert states(make_plan(options(tmp_path, "-p", "rounds", "9")))["30"] == "unchanged"
    # a changed notebook takes those behind it along
    write_notebook(notebooks, "20", "2", products=["tables/20.csv"])
    plan = {step.number: step.why for step in make_plan(options(tmp_path))}
    assert plan["20"] == "changed: the notebook" and plan["10"] == "changed: a notebook that it depends on"
    assert plan["30"] == "nothing it depends on has changed"
    only = make_plan(options(tmp_path, "--only", "10"))
    assert [step.number for step in only] == ["20", "10"] and only[0].why.startswith("needed by 10; ")


def test_missing_product_and_failure_run_again(tmp_path, notebooks):
    folder = tmp_path / "results" / "smoke"
    record_all(make_plan(options(tmp_path)), folder)
    (folder / "tables" / "20.csv").unlink()
    (folder / "notebooks" / "30.ipynb").unlink()
    plan = {step.number: step.why for step in make_plan(options(tmp_path))}
    assert plan["20"] == "missing: tables/20.csv" and plan["30"] == "missing: notebooks/30.ipynb"
    update_status(folder, Outcome("10", "t", "interrupted"))
    assert {s.number: s.why for s in make_plan(options(tmp_path))}["10"] == "last time: interrupted"


def test_time_left():
    steps = [SimpleNamespace(number=str(i), seconds=s) for i, s in enumerate((60.0, 20.0, 20.0))]
    assert time_left(steps, 1, {}) == 100
    assert time_left(steps, 2, {}) == 60  # the longest
    assert time_left(steps, 2, {"0": 40.0}) == 30  # 20 + 20 + 20 over two
    assert time_left(steps, 1, {}, pace=0.5) == 50
    assert time_left([], 2, {}) == 0


# --- lock, environment, records, text


def test_lock_names_the_process_and_frees(tmp_path):
    with results_lock(tmp_path / "mini"):
        with pytest.raises(FedkitError, match=f"another run \\(process {os.getpid()} on .* since .*\\) is writing to"):
            with results_lock(tmp_path / "mini"):
                pass
        assert (tmp_path / "mini" / ".lock.json").is_file()
    with results_lock(tmp_path / "mini"):
        pass


def test_results_that_cannot_be_written(tmp_path):
    (tmp_path / "results").write_text("a file in the way")
    with (
        pytest.raises(FedkitError, match="cannot be written .* --results"),
        results_lock(tmp_path / "results" / "mini"),
    ):
        pass


def test_environment_of_a_child(tmp_path, notebooks, monkeypatch):
    monkeypatch.setattr("fedkit.runner.process.cores", lambda: 8)
    for name in ("OMP_NUM_THREADS", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    env = environment(options(tmp_path, "--jobs", "3"), tmp_path)
    assert env["OMP_NUM_THREADS"] == "2" and env["HF_HUB_OFFLINE"] == "1"
    assert env["PYTHONPATH"].split(os.pathsep)[0] == str(ROOT)
    assert env["IPYTHONDIR"].startswith(str(tmp_path)) and env["JUPYTER_PATH"].startswith(str(tmp_path))
    assert "HF_HUB_OFFLINE" not in environment(options(tmp_path, profile="course"), tmp_path)
    assert environment(options(tmp_path, "--offline", profile="course"), tmp_path)["HF_HUB_OFFLINE"] == "1"


def test_status_keeps_the_others(tmp_path):
    update_status(tmp_path, Outcome("20", "b", "ok"))
    update_status(tmp_path, Outcome("10", "a", "failed", error="x"))
    update_status(tmp_path, Outcome("10", "a", "ok"))
    assert [(r["number"], r["status"]) for r in read_status(tmp_path)] == [("10", "ok"), ("20", "ok")]
    (tmp_path / "status.json").write_text("{half")
    assert read_status(tmp_path) == []
    whole = Outcome("10", "a", "ok", 2.0).record()
    damage = ({"number": ["10"]}, {"seconds": "2"}, {"seconds": float("nan")}, {"fingerprint": None}, {"status": 1})
    (tmp_path / "status.json").write_text(json.dumps([1, *({**whole, **part} for part in damage), whole]))
    assert read_status(tmp_path) == [whole]


def test_junit_counts_and_survives_control_characters(tmp_path):
    outcomes = [
        Outcome("10", "a & b <c>", "ok", 2.0),
        Outcome("20", "b", "failed", error="\x1b[31mred\x1b[0m \x00", details="trace"),
        Outcome("30", "c", "refused", error="a sentence"),
        Outcome("40", "d", "skipped", error="depends on 20"),
        Outcome("50", "e", "interrupted"),
        Outcome("60", "f", "ok", 9.0, ran=False),
    ]
    write_junit(tmp_path, "smoke", outcomes, 5.0)
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()
    counts = {name: int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": 6, "failures": 2, "errors": 1, "skipped": 1}
    assert suite[0].get("name") == "10 a & b <c>" and suite[1][0].get("message") == r"red \x00"
    assert suite[5].get("time") == "0.000"


def test_words_and_table():
    assert [words(s) for s in (0.4, 59, 60, 200, 1200, 7500)] == [
        "0 s",
        "59 s",
        "1 min",
        "3 min 20 s",
        "20 min",
        "2 h 05 min",
    ]
    assert table(("a", "long"), [("xyz", 1)]) == "a    long\n---  ----\nxyz  1"


def test_paper_profile_is_table_7():
    lines = [line for line in compare(get_profile("paper")) if line.dataset == "fed_aya"]
    assert {line.name: line.here for line in lines if line.paper is not None} == {
        "clients a round": 4,
        "clients in all": None,  # by user: the 38 come out of the data
        "local steps": 10,
        "rounds": 200,
    }
    assert not [line.name for line in lines if line.differs]
    assert any(line.differs and line.name == "rounds" for line in compare(get_profile("mini")))
    assert "Table 7" in settings_text(get_profile("mini"))


def test_estimate_counts_runs_once(monkeypatch, notebooks, tmp_path):
    import sys

    one = SimpleNamespace(
        weights_gb=7.0, adapter_gb=0.1, optimizer_gb=0.2, activations_gb=3.0, total_gb=10.3, hours=2.0, assumptions="a"
    )
    monkeypatch.setitem(sys.modules, "fedkit.training.costs", SimpleNamespace(estimate=lambda *a, **k: one))
    profile = get_profile("paper")
    base = make_plan(options(tmp_path))[0]
    step = Step(replace(base.notebook, datasets=("fed_aya",), algorithms=("fedavg", "local")), {}, {}, "new", "", 1.0)
    text = estimate_text(profile, [step, step], [0, 1, 2])
    assert (
        "about 12 hours" in text and "fed_aya: a" in text
    )  # 2 algorithms x 3 seeds x 2 hours, shared between both notebooks

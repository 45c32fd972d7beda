"""SIGKILL at any moment, half-written files, two processes at once: a run ends bit-equal to an unbroken one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from core_tools import SHORT, make_config, same, without_time

from fedkit.common.errors import FedkitError
from fedkit.privacy.primitives import sample_clients
from fedkit.training.checkpoint import Checkpoint, read_checkpoint, read_lines
from fedkit.training.client_states import ClientStates
from fedkit.training.models import load_state, save_state
from fedkit.training.simulation import run

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def outcome(tiny_folder, tmp_path_factory):
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")]),
    }
    command = [
        sys.executable,
        str(HERE.parent / "fault_runs.py"),
        str(tiny_folder),
        str(tmp_path_factory.mktemp("faults")),
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def files(folder):
    return {str(p.relative_to(folder)) for p in Path(folder).rglob("*") if p.is_file()} - {"lock"}


@pytest.mark.parametrize("algorithm", ["scaffold", "fedadam"])
def test_killed_ten_times_and_resumed_is_bit_equal_to_unbroken(outcome, algorithm):
    whole, killed = outcome[algorithm]["whole"], outcome[algorithm]["killed"]
    assert whole["end"] == killed["end"] == 0
    assert killed["kills"] == 10, killed  # each ended a process by SIGKILL before the run was finished
    rounds = killed["rounds_after_each"]
    assert rounds == sorted(rounds) and len(set(rounds)) > 2, rounds  # spread over the run, and nothing lost
    folders = [Path(x["folder"]) for x in (whole, killed)]
    assert same(*(load_state(f / "adapter.safetensors") for f in folders))
    one, two = (without_time(list(read_lines(f / "history.jsonl"))) for f in folders)
    assert one == two and len(one) == 16
    assert files(folders[0]) == files(folders[1])
    states = [name for name in files(folders[0]) if name.startswith("clients")]
    assert bool(states) == (algorithm == "scaffold")
    assert all((folders[0] / name).read_bytes() == (folders[1] / name).read_bytes() for name in states)


def test_two_processes_on_one_run_train_it_once(outcome):
    """The second waits for the first and takes its result; the 48 turns are trained by one of them."""
    together = outcome["together"]
    assert together["ends"] == [0, 0]
    assert sorted(map(len, together["trained"])) == [0, 48]
    folder, whole = Path(together["folder"]), Path(outcome["fedadam"]["whole"]["folder"])
    assert same(load_state(folder / "adapter.safetensors"), load_state(whole / "adapter.safetensors"))
    one, two = (without_time(list(read_lines(f / "history.jsonl"))) for f in (folder, whole))
    assert one == two
    assert files(folder) == files(whole)


class Stop(Exception):
    pass


TRAIN = replace(SHORT, rounds=4)


@pytest.fixture(scope="module")
def whole(tiny_loaded, tiny_spec, federation, tmp_path_factory):
    config = make_config(tiny_spec, federation, "scaffold", TRAIN)
    return run(config, federation, tmp_path_factory.mktemp("whole"), loaded=tiny_loaded, progress=False)


@pytest.fixture
def broken(tiny_loaded, tiny_spec, federation, tmp_path, frozen):
    """A scaffold run stopped after the first client of round 2, and a function that resumes it to the end."""
    config = make_config(tiny_spec, federation, "scaffold", TRAIN)
    turns = []

    def stop(round, client):
        turns.append((round, client))
        if len(turns) == 5:
            raise Stop

    with pytest.raises(Stop):
        run(config, federation, tmp_path, loaded=tiny_loaded, progress=False, on_client=stop)
    folder = tmp_path / config.hash
    assert read_checkpoint(folder / "checkpoint.safetensors")[0].round == 2
    assert len(list(read_lines(folder / "history.jsonl"))) == 2
    turns.clear()

    def resume():
        turns.extend([None] * 5)  # no further stop
        done = run(config, federation, tmp_path, loaded=tiny_loaded, progress=False, on_client=stop)
        return done, turns[5:]

    return folder, resume


def check(done, whole):
    assert same(done.adapter, whole.adapter)
    assert without_time(done.history) == without_time(whole.history)
    assert files(done.folder) == files(whole.folder)


def test_only_what_was_not_committed_is_trained_again(broken, whole):
    _, resume = broken
    done, turns = resume()
    every = [(line["round"], c["client"]) for line in whole.history for c in line["clients"]]
    assert turns == every[5:]
    check(done, whole)


def test_a_half_written_history_line(broken, whole):
    folder, resume = broken
    with (folder / "history.jsonl").open("a") as file:
        file.write('{"round": 2, "lr": 0.00')
    check(resume()[0], whole)


@pytest.fixture
def killed_at(tiny_loaded, tiny_spec, federation, tmp_path, monkeypatch, frozen):
    """A scaffold run stopped where a turn or a round is committed for the n-th time; a function that resumes it."""
    config = make_config(tiny_spec, federation, "scaffold", TRAIN)

    def start(name, times, *, committed):
        real, calls = getattr(Checkpoint, name), []

        def killed(self, *rest):
            calls.append(rest)
            if len(calls) < times or committed:
                real(self, *rest)
            if len(calls) == times:
                raise Stop

        with monkeypatch.context() as patch:
            patch.setattr(Checkpoint, name, killed)
            with pytest.raises(Stop):
                run(config, federation, tmp_path, loaded=tiny_loaded, progress=False)
        return tmp_path / config.hash

    def resume():
        return run(config, federation, tmp_path, loaded=tiny_loaded, progress=False)

    return start, resume


@pytest.mark.parametrize("kept", [0, 30])
def test_killed_between_the_checkpoint_and_the_history_line(killed_at, whole, kept):
    """The checkpoint is of round 2, the line of round 1 is missing or cut: it is taken from the checkpoint."""
    start, resume = killed_at
    folder = start("commit_round", 2, committed=True)
    lines = (folder / "history.jsonl").read_text().splitlines(keepends=True)
    (folder / "history.jsonl").write_text(lines[0] + lines[1][:kept])
    check(resume(), whole)


@pytest.mark.parametrize("committed", [False, True])
def test_killed_at_the_commit_of_a_turn(killed_at, whole, committed):
    """The client's state is on disk before its turn counts: after the commit there is nothing left to write."""
    start, resume = killed_at
    start("commit_turn", 5, committed=committed)
    check(resume(), whole)


@pytest.mark.parametrize("fault", ["gone", "cut", "another's"])
def test_a_lost_client_state_is_known_and_the_remedy_gives_the_unbroken_run(broken, whole, fault):
    """Were it taken for that of a client that never took part, the run would end elsewhere without a word."""
    folder, resume = broken
    states = {int(p.name.partition(".")[0]): p for p in sorted((folder / "clients").iterdir())}
    to_come = [sample_clients(5, 2, 0, 2)[1], *sample_clients(5, 2, 0, 3)]
    path = next(states[place] for place in to_come if place in states)  # is read again
    other = next(p for p in states.values() if p != path)
    path.write_bytes(path.read_bytes()[:-1] if fault == "cut" else other.read_bytes())
    if fault == "gone":
        path.unlink()
    with pytest.raises(FedkitError, match="state of the run is lost .*; delete .* to train this run anew") as caught:
        resume()
    Path(str(caught.value).partition("; delete ")[2].partition(" to train")[0]).unlink()  # as it says
    check(resume()[0], whole)


def test_neighbours_left_by_a_kill_in_the_middle_of_writing(broken, whole):
    folder, resume = broken
    checkpoint = (folder / "checkpoint.safetensors").read_bytes()
    (folder / ".checkpoint.safetensors.a1b2c3.tmp").write_bytes(checkpoint[:1000])
    (folder / ".adapter.safetensors.a1b2c3.tmp").write_bytes(b"half")
    (folder / ".history.jsonl.a1b2c3.tmp").write_text("half")
    for place in (folder, folder / "clients"):
        (place / ".tmpA1b2C3").write_bytes(b"half")  # safetensors' own
    check(resume()[0], whole)


def test_an_adapter_without_its_manifest_is_not_believed(broken, whole):
    folder, resume = broken
    save_state({"a": torch.zeros(1)}, folder / "adapter.safetensors")
    check(resume()[0], whole)


@pytest.mark.parametrize("complete", [True, False])
def test_a_client_state_written_but_not_committed(broken, whole, federation, complete):
    """Killed after the next client's state of round 2 was written, before the checkpoint said so: it trains again
    from its state of before. Were it believed, the variate would be applied twice."""
    folder, resume = broken
    index = sample_clients(5, 2, 0, 2)[1]
    path = folder / "clients" / f"{index:07d}.r2.safetensors"
    assert not path.exists()
    if complete:
        ClientStates(folder / "clients", 5).save(index, 2, {k: t + 1 for k, t in whole.adapter.items()})
    else:
        path.with_name(f".{path.name}.a1b2c3.tmp").write_bytes(b"half")
    check(resume()[0], whole)


def test_killed_after_the_last_client_before_the_results(
    tiny_loaded, tiny_spec, federation, whole, tmp_path, monkeypatch
):
    """The last checkpoint is there, the adapter and the manifest are not: nothing is trained again."""
    from fedkit.training import simulation

    config = make_config(tiny_spec, federation, "scaffold", TRAIN)

    def killed(self):
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(simulation.Simulation, "finish", killed)
        with pytest.raises(Stop):
            run(config, federation, tmp_path, loaded=tiny_loaded, progress=False)
    turns = []
    done = run(config, federation, tmp_path, loaded=tiny_loaded, progress=False, on_client=lambda *t: turns.append(t))
    assert turns == []
    check(done, whole)


def test_a_checkpoint_deleted_by_hand_starts_the_run_again(broken, whole):
    """Client states of the first start lie there still; rounds before them must not read them."""
    folder, resume = broken
    (folder / "checkpoint.safetensors").unlink()
    done, turns = resume()
    assert len(turns) == 8
    check(done, whole)


def test_a_checkpoint_that_cannot_be_read_stops_with_its_name(broken):
    folder, resume = broken
    path = folder / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FedkitError, match="checkpoint.safetensors: unreadable checkpoint .*; delete .* anew"):
        resume()

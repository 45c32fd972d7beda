"""What a run keeps on disk comes back to the bit; what a kill leaves half done is not believed."""

from __future__ import annotations

import json

import pytest
import torch
from core_tools import same

from fedkit.algorithms.aggregators import RunningMean, momentum
from fedkit.common.errors import FedkitError
from fedkit.training.checkpoint import (
    ClientStates,
    Progress,
    append_history,
    load_progress,
    mend_history,
    read_history,
    save_progress,
)


def state(seed, scale=1.0):
    made = torch.Generator().manual_seed(seed)
    return {f"layer.{i}.lora_A": scale * torch.randn(2, 3, generator=made) for i in range(2)}


def full_progress():
    deltas, uploads = RunningMean(), RunningMean()
    deltas.add(state(3), 217.0)
    deltas.add(state(4), 0.1)
    uploads.add(state(5), 1.0)
    return Progress(
        adapter=state(0),
        server={"m": state(1), "v": state(2)},
        round=3,
        done=[{"client": "a", "loss": 0.1 + 0.2, "left_out": None}],
        deltas=deltas,
        uploads=uploads,
        last={"round": 2, "loss": 1 / 3},
        seconds=12.5,
    )


def test_progress_comes_back_to_the_bit(tmp_path):
    before = full_progress()
    save_progress(tmp_path / "checkpoint", before)
    after = load_progress(tmp_path / "checkpoint")
    assert same(after.adapter, before.adapter)
    assert after.server.keys() == before.server.keys() and all(same(after.server[s], before.server[s]) for s in "mv")
    for mean in ("deltas", "uploads"):
        one, two = getattr(after, mean), getattr(before, mean)
        assert same(one.total, two.total) and (one.weight, one.count) == (two.weight, two.count)
    for name in ("round", "done", "last", "seconds"):
        assert getattr(after, name) == getattr(before, name)
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint"]


def test_a_fresh_start_comes_back_empty(tmp_path):
    save_progress(tmp_path / "checkpoint", Progress(state(0)))
    after = load_progress(tmp_path / "checkpoint")
    assert after.server == {} and after.done == [] and after.last is None and after.round == 0
    assert after.deltas == RunningMean() and after.uploads == RunningMean()
    after.deltas.add(state(1), 2.0)  # and can be gone on with
    assert same(after.deltas.total, {k: 2 * t for k, t in state(1).items()})


def test_tensors_that_share_memory_are_saved(tmp_path):
    """FedAdam's first momentum in the systems' form is the mean delta itself; a transposed view is not contiguous."""
    delta = state(1)
    turned = {name: t.T for name, t in state(2).items()}
    server = {"m": momentum(None, delta, 0.9, warm=True), "d": delta, "t": turned}
    save_progress(tmp_path / "checkpoint", Progress(state(0), server))
    after = load_progress(tmp_path / "checkpoint")
    assert same(after.server["m"], delta) and same(after.server["d"], delta) and same(after.server["t"], turned)


def test_no_checkpoint(tmp_path):
    assert load_progress(tmp_path / "checkpoint") is None


@pytest.mark.parametrize("fault", ["empty", "cut", "text", "adapter only"])
def test_an_unreadable_checkpoint_is_one_sentence(tmp_path, fault):
    path = tmp_path / "checkpoint.safetensors"
    save_progress(path, full_progress())
    whole = path.read_bytes()
    if fault == "adapter only":
        from fedkit.training.models import save_state

        save_state(state(0), path)
    else:
        path.write_bytes({"empty": b"", "cut": whole[:-7], "text": b"not a checkpoint"}[fault])
    with pytest.raises(FedkitError, match="unreadable checkpoint .*; delete it to start the run again") as caught:
        load_progress(path)
    assert str(path) in str(caught.value)


def test_a_failed_save_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    from fedkit.training import checkpoint

    path = tmp_path / "checkpoint"
    save_progress(path, full_progress())
    before = path.read_bytes()

    def half(tensors, part, metadata):
        part.write_bytes(before[:50])
        raise OSError("no space left")

    monkeypatch.setattr(checkpoint, "save_file", half)
    with pytest.raises(FedkitError, match="cannot write .*checkpoint .no space left"):
        save_progress(path, Progress(state(9)))
    assert path.read_bytes() == before and load_progress(path).round == 3
    monkeypatch.undo()
    save_progress(path, Progress(state(9)))  # and the half-written neighbour is no obstacle
    assert same(load_progress(path).adapter, state(9)) and [p.name for p in tmp_path.iterdir()] == ["checkpoint"]


def test_a_client_reads_its_state_of_before_the_round(tmp_path):
    states = ClientStates(tmp_path / "clients")
    assert states.load(7, 5) == {}
    states.save(7, 2, state(2))
    states.save(7, 10, state(10))
    states.save(8, 3, state(3))
    assert states.load(7, 2) == {}  # a turn of round 2 that is repeated starts as it did
    assert same(states.load(7, 3), state(2)) and same(states.load(7, 10), state(2))
    assert same(states.load(7, 11), state(10)) and same(states.load(8, 11), state(3))


def test_at_most_two_states_of_a_client_are_kept(tmp_path):
    states = ClientStates(tmp_path)
    for round in (0, 4, 9, 10, 100):
        states.save(3, round, state(round))
    states.save(4, 0, {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0000003.r10.safetensors", "0000003.r100.safetensors"]
    assert same(states.load(3, 100), state(10)) and same(states.load(3, 101), state(100))


def test_a_repeated_turn_overwrites_its_state(tmp_path):
    states = ClientStates(tmp_path)
    states.save(1, 5, state(1))
    states.save(1, 5, state(2))
    assert same(states.load(1, 6), state(2)) and len(list(tmp_path.iterdir())) == 1


def lines(*rounds):
    return [{"round": r, "loss": r / 7} for r in rounds]


def test_history_is_one_line_a_round(tmp_path):
    path = tmp_path / "history.jsonl"
    assert read_history(path) == []
    for line in lines(0, 1, 2):
        append_history(path, line)
    assert read_history(path) == lines(0, 1, 2)
    assert path.read_text().count("\n") == 3


@pytest.mark.parametrize("kept", [0, 1, 10, -1])
def test_a_cut_line_is_left_out(tmp_path, kept):
    path = tmp_path / "history.jsonl"
    text = "".join(json.dumps(line) + "\n" for line in lines(0, 1))
    last = json.dumps(lines(2)[0])
    path.write_text(text + last[:kept])
    assert read_history(path) == lines(0, 1)


def progress(round):
    return Progress(state(0), round=round, last=lines(round - 1)[0] if round else None)


@pytest.mark.parametrize(
    "on_disk, round",
    [
        ("", 0),
        ("", 1),  # killed after the checkpoint, before the line
        ("0 1", 3),
        ("0 1 cut", 3),  # in the middle of the line
        ("0 1 2", 3),  # nothing missing
        ("0 1 2 3", 3),  # a checkpoint restored from a copy
        ("0 1 2", 0),  # the checkpoint deleted by hand: from the start
        ("unended", 1),
    ],
)
def test_history_is_brought_in_step_with_the_checkpoint(tmp_path, on_disk, round):
    path = tmp_path / "history.jsonl"
    text = "".join(json.dumps(lines(int(r))[0]) + "\n" for r in on_disk.split() if r.isdigit())
    if on_disk.endswith("cut"):
        text += '{"round": 2, "lo'
    if on_disk == "unended":
        text = json.dumps(lines(0)[0])  # the newline is missing
    if on_disk:
        path.write_text(text)
    mend_history(path, progress(round))
    append_history(path, lines(round)[0])
    assert read_history(path) == lines(*range(round + 1))
    assert path.read_text() == "".join(json.dumps(line) + "\n" for line in lines(*range(round + 1)))

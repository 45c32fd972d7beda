"""What a run keeps on disk comes back to the bit; what a kill leaves half done is not believed."""

from __future__ import annotations

import json
import os
import shutil
import stat

import pytest
import torch
from core_tools import same

from fedkit.algorithms.aggregators import RunningMean, momentum
from fedkit.common.errors import FedkitError
from fedkit.training.checkpoint import FORMAT, Checkpoint, Progress, read_lines
from fedkit.training.client_states import ClientStates
from fedkit.training.models import save_state


def state(seed, scale=1.0):
    made = torch.Generator().manual_seed(seed)
    return {f"layer.{i}.lora_A": scale * torch.randn(2, 3, generator=made) for i in range(2)}


def turn(client, **more):
    place = ord(client) - ord("a")
    return {"client": client, "place": place, "state": None, "loss": 0.1 + 0.2, "left_out": None, **more}


def line(round, **more):
    return {"round": round, "loss": round / 7, "dropped": None, "clients": [], **more}


def committed(folder, rounds=3, turns=1):
    """A checkpoint of so many finished rounds, and so many clients of the next."""
    checkpoint, progress = Checkpoint(folder), Progress(state(0), {"m": state(1), "v": state(2)}, seconds=12.5)
    for round in range(rounds):
        progress.round = round + 1
        checkpoint.commit_round(progress, line(round))
    for client in "abcdef"[:turns]:
        progress.done.append(turn(client))
        progress.deltas.add(state(3), 217.0)
        progress.deltas.add(state(4), 0.1)
        progress.uploads.add(state(5), 1.0)
        checkpoint.commit_turn(progress)
    return checkpoint, progress


def alike(one, two):
    assert same(one.adapter, two.adapter)
    assert one.server.keys() == two.server.keys() and all(same(one.server[s], two.server[s]) for s in one.server)
    for mean in (("deltas"), ("uploads")):
        a, b = getattr(one, mean), getattr(two, mean)
        assert same(a.total, b.total) and (a.weight, a.count, a.wide) == (b.weight, b.count, b.wide)
    for name in ("round", "done", "seconds", "seal"):
        assert getattr(one, name) == getattr(two, name)


@pytest.mark.parametrize("turns", [0, 1, 3])
def test_progress_comes_back_to_the_bit(tmp_path, turns):
    checkpoint, before = committed(tmp_path, turns=turns)
    after = Checkpoint(tmp_path).load(state(9))
    alike(after, before)
    assert list(checkpoint.rounds(after)) == [line(r) for r in range(3)]
    names = {"checkpoint.safetensors", "history.jsonl"} | ({"turns.jsonl"} if turns else set())
    assert {p.name for p in tmp_path.iterdir()} == names


def test_a_sum_that_went_on_in_float64_comes_back_as_such(tmp_path):
    checkpoint, progress = committed(tmp_path, turns=0)
    progress.deltas.add(state(1, 3e37), 217.0)
    progress.done.append(turn("a"))
    checkpoint.commit_turn(progress)
    after = checkpoint.load(state(9))
    alike(after, progress)
    assert after.deltas.wide and all(t.dtype == torch.float64 for t in after.deltas.total.values())
    assert all(bool(torch.isfinite(t).all()) and t.dtype == torch.float32 for t in after.deltas.mean().values())


def test_a_fresh_start(tmp_path):
    after = Checkpoint(tmp_path).load(state(0))
    assert same(after.adapter, state(0)) and after.deltas == RunningMean() and after.done == [] and after.round == 0
    assert list(tmp_path.iterdir()) == []


def test_tensors_that_share_memory_are_saved(tmp_path):
    """FedAdam's first momentum in the systems' form is the mean delta itself; a transposed view is not contiguous."""
    delta = state(1)
    turned = {name: t.T for name, t in state(2).items()}
    server = {"m": momentum(None, delta, 0.9, warm=True), "d": delta, "e": dict(delta), "t": turned}
    checkpoint = Checkpoint(tmp_path)
    checkpoint.commit_round(Progress(state(0), server, round=1), line(0))
    after = checkpoint.load(state(9))
    assert all(same(after.server[slot], delta) for slot in "mde") and same(after.server["t"], turned)


def test_each_round_has_a_journal_of_its_own_clients(tmp_path):
    """The first client of a round takes the place of those of the round before; the results need no checkpoint."""
    checkpoint, progress = committed(tmp_path, rounds=1, turns=2)
    progress.round, progress.done = 2, []
    checkpoint.commit_round(progress, line(1))
    progress.done = [turn("c")]
    checkpoint.commit_turn(progress)
    assert checkpoint.turns.read_text() == json.dumps(turn("c")) + "\n"
    assert Checkpoint(tmp_path).load(state(9)).done == [turn("c")]
    checkpoint.remove()
    assert [p.name for p in tmp_path.iterdir()] == ["history.jsonl"]
    checkpoint.remove()


@pytest.mark.parametrize("fault", ["empty", "cut", "text", "adapter only", "an older version", "no numbers"])
def test_an_unreadable_checkpoint_is_one_sentence_whose_remedy_works(tmp_path, fault):
    checkpoint, progress = committed(tmp_path)
    path = checkpoint.path
    whole = path.read_bytes()
    if fault == "adapter only":
        save_state(state(0), path)
    elif fault in ("an older version", "no numbers"):
        from safetensors.torch import save_file

        old = {"round": 1, "done": [], "deltas": [0, 0], "uploads": [0, 0], "last": None, "seconds": 1.0}
        header = old if fault == "an older version" else {"format": FORMAT, "round": 1}
        save_file(state(0), path, metadata={"fedkit": json.dumps(header)})
    else:
        path.write_bytes({"empty": b"", "cut": whole[:-7], "text": b"not a checkpoint"}[fault])
    with pytest.raises(FedkitError, match="unreadable checkpoint .*; delete (.*) to train this run anew") as caught:
        checkpoint.load(state(0))
    os.remove(str(caught.value).partition("; delete ")[2].partition(" to train")[0])  # as it says
    alike(checkpoint.load(state(7)), Progress(state(7)))
    assert list(read_lines(checkpoint.history)) == [] and progress.round == 3


def test_a_failed_save_leaves_the_old_checkpoint_and_says_that_nothing_is_lost(tmp_path, monkeypatch):
    from safetensors import SafetensorError
    from safetensors import torch as writer

    checkpoint, before = committed(tmp_path)
    files = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def half(tensors, part, metadata):
        part.write_bytes(files["checkpoint.safetensors"][:50])
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    progress = checkpoint.load(state(0))
    progress.done.append(turn("b"))
    monkeypatch.setattr(writer, "save_file", half)
    with pytest.raises(FedkitError, match="cannot write .*No space left.*start again: the run goes on from its last"):
        checkpoint.commit_turn(progress)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == files
    monkeypatch.undo()
    alike(checkpoint.load(state(0)), before)
    checkpoint.commit_turn(progress)  # and the half-written neighbour is no obstacle
    alike(checkpoint.load(state(0)), progress)


def test_a_full_disk_under_a_journal_is_a_sentence_and_nothing_is_lost(tmp_path):
    """/dev/full takes no byte. The checkpoint is written before the line, and holds it."""
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    checkpoint, progress = committed(tmp_path)
    checkpoint.history.rename(tmp_path / "kept")
    checkpoint.history.symlink_to("/dev/full")
    progress.round, progress.done = 4, []
    with pytest.raises(FedkitError, match="cannot write .*history.jsonl .No space left on device.; free space .*start"):
        checkpoint.commit_round(progress, line(3))
    checkpoint.history.unlink()
    (tmp_path / "kept").rename(checkpoint.history)
    assert checkpoint.load(state(0)).round == 4 and list(checkpoint.rounds(progress)) == [line(r) for r in range(4)]


@pytest.mark.parametrize("of", ["turn", "round"])
def test_no_line_is_there_before_the_checkpoint_speaks_of_it(tmp_path, monkeypatch, of):
    """Killed inside the checkpoint: a line written before it would be of a client or a round that does not count."""
    checkpoint, progress = committed(tmp_path, turns=2)
    before = {p: p.read_bytes() for p in (checkpoint.history, checkpoint.turns)}

    def killed(*rest, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "_write", killed)
    progress.done.append(turn("c"))
    with pytest.raises(KeyboardInterrupt):
        checkpoint.commit_turn(progress) if of == "turn" else checkpoint.commit_round(progress, line(3))
    assert {p: p.read_bytes() for p in before} == before


def test_a_commit_costs_the_same_for_the_first_client_of_a_round_and_for_the_hundredth(tmp_path):
    checkpoint, progress = committed(tmp_path, turns=1)
    first, sizes = checkpoint.path.stat().st_size, []
    for _ in range(100):
        progress.done.append(turn("b"))
        before = checkpoint.turns.stat().st_size
        checkpoint.commit_turn(progress)
        sizes.append(checkpoint.turns.stat().st_size - before)
    assert len(set(sizes)) == 1 and checkpoint.path.stat().st_size - first < 16  # a longer count
    assert len(checkpoint.load(state(0)).done) == 101


TEXT = [json.dumps(line(r)) + "\n" for r in range(5)]


@pytest.mark.parametrize(
    "on_disk",
    [
        TEXT[0] + TEXT[1],  # killed after the checkpoint, before the line
        TEXT[0] + TEXT[1] + TEXT[2][:9],  # in the middle of the line
        TEXT[0] + TEXT[1] + TEXT[2][:-1],  # before its end
        TEXT[0] + TEXT[1] + TEXT[2],  # nothing missing
        "".join(TEXT),  # a checkpoint restored from a copy
        (TEXT[0] + TEXT[1])[:-1],  # an editor has taken the last line's end
    ],
)
def test_the_history_is_brought_in_step_with_the_checkpoint(tmp_path, on_disk):
    checkpoint, progress = committed(tmp_path, rounds=3, turns=0)
    checkpoint.history.write_text(on_disk)
    progress = checkpoint.load(state(0))
    assert checkpoint.history.read_text() == "".join(TEXT[:3])
    progress.round = 4
    checkpoint.commit_round(progress, line(3))
    assert list(checkpoint.rounds(progress)) == [line(r) for r in range(4)]


@pytest.mark.parametrize("turns", [1, 3])
@pytest.mark.parametrize("kept", [0, 7, None])
def test_the_clients_of_the_round_are_brought_in_step_with_the_checkpoint(tmp_path, turns, kept):
    """The newest line missing, cut, or there; before the first, those of the round before may lie there still."""
    checkpoint, before = committed(tmp_path, turns=turns)
    texts = checkpoint.turns.read_bytes().splitlines(keepends=True)
    if turns == 1 and kept == 0:
        checkpoint.turns.write_text(json.dumps(turn("e")) + "\n" + json.dumps(turn("f")) + "\n")
    else:
        checkpoint.turns.write_bytes(b"".join(texts[:-1]) + texts[-1][:kept])
    alike(checkpoint.load(state(0)), before)
    assert checkpoint.turns.read_bytes() == b"".join(texts)


DAMAGE = {
    "a line lost in the middle": TEXT[0] + TEXT[2],
    "a line edited": TEXT[0] + TEXT[1].replace("0.14", "0.15") + TEXT[2],
    "no file": None,
    "empty": "",
    "other JSON": '[1, 2]\n{"a": null}\n',
    "null": "null\n" * 3,
    "null rounds": '{"round": null}\n' * 3,
    "deep": "[" * 100_000 + "\n",
    "not UTF-8": b"\xff\xfe{}\n" + TEXT[1].encode(),
}


@pytest.mark.parametrize("fault", DAMAGE)
def test_a_damaged_history_is_refused_and_the_remedy_works(tmp_path, fault):
    checkpoint, _ = committed(tmp_path)
    content = DAMAGE[fault]
    checkpoint.history.unlink()
    if content is not None:
        checkpoint.history.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(
        FedkitError, match="history.jsonl is not what the run's checkpoint says: .*; delete .* anew"
    ) as e:
        checkpoint.load(state(0))
    os.remove(str(e.value).partition("; delete ")[2].partition(" to train")[0])
    alike(checkpoint.load(state(7)), Progress(state(7)))


def test_lines_that_cannot_be_read_are_not_taken_for_none(tmp_path):
    (tmp_path / "history.jsonl").mkdir()
    with pytest.raises(FedkitError, match="history.jsonl cannot be read .Is a directory"):
        list(read_lines(tmp_path / "history.jsonl"))


# --- clients' states


def kept(states, place, round, seed):
    """A turn that kept a state, and its line."""
    return turn("abcdefgh"[place], place=place, state=states.save(place, round, state(seed)))


def settled(states, *turns, round=0, dropped=None):
    states.settle(line(round, clients=list(turns), dropped=dropped))
    return line(round, clients=list(turns), dropped=dropped)


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_client_reads_its_state_of_the_last_round_that_was_committed(tmp_path):
    states = ClientStates(tmp_path / "clients", 8)
    assert states.load(7) == {}
    one = kept(states, 7, 0, 2)
    assert states.load(7) == {}  # a turn of round 0 that is repeated starts as it did
    settled(states, one, round=0)
    two = kept(states, 7, 10, 10)
    assert same(states.load(7), state(2)) and len(names(states.folder)) == 2
    settled(states, two, kept(states, 3, 10, 3), round=10)
    assert same(states.load(7), state(10)) and same(states.load(3), state(3)) and states.load(1) == {}
    assert names(states.folder) == ["0000003.r10.safetensors", "0000007.r10.safetensors"]
    assert states.save(1, 10, {}) is None


def test_the_states_of_a_round_that_was_not_taken_are_dropped(tmp_path):
    states = ClientStates(tmp_path, 8)
    first = settled(states, kept(states, 1, 0, 1), round=0)
    second = settled(states, kept(states, 1, 1, 2), kept(states, 2, 1, 3), round=1, dropped="not finite")
    assert same(states.load(1), state(1)) and states.load(2) == {} and names(tmp_path) == ["0000001.r0.safetensors"]
    again = ClientStates(tmp_path, 8)
    again.recall([first, second], 2, [])
    assert same(again.load(1), state(1)) and again.load(2) == {}


def test_a_run_that_is_taken_up_again_has_the_index_of_its_history_and_no_strays(tmp_path):
    states = ClientStates(tmp_path, 8)
    first = settled(states, kept(states, 1, 0, 1), kept(states, 2, 0, 2), round=0)
    shutil.copy(tmp_path / "0000001.r0.safetensors", tmp_path / "spare")
    second = settled(states, kept(states, 1, 1, 3), round=1)
    (tmp_path / "spare").rename(tmp_path / "0000001.r0.safetensors")  # killed before it was removed
    pending = kept(states, 2, 2, 4)
    kept(states, 4, 2, 5)  # not committed
    (tmp_path / ".0000004.r2.safetensors.ab.tmp").write_bytes(b"half")
    again = ClientStates(tmp_path, 8)
    again.recall([first, second], 2, [pending])
    assert names(tmp_path) == ["0000001.r1.safetensors", "0000002.r0.safetensors", "0000002.r2.safetensors"]
    assert same(again.load(1), state(3)) and same(again.load(2), state(2)) and again.load(4) == {}


@pytest.mark.parametrize("of", ["settled", "pending"])
def test_a_state_that_is_gone_is_known_at_once(tmp_path, of):
    states = ClientStates(tmp_path / "clients", 8)
    first = settled(states, kept(states, 1, 0, 1), round=0)
    pending = kept(states, 1, 1, 2)
    (tmp_path / "clients" / f"0000001.r{int(of == 'pending')}.safetensors").unlink()
    with pytest.raises(FedkitError, match="state of the run is lost .*; delete .*checkpoint.safetensors to train"):
        ClientStates(tmp_path / "clients", 8).recall([first], 1, [pending])


@pytest.mark.parametrize("fault", ["gone", "empty", "cut", "a bit", "another's"])
def test_a_state_that_is_not_as_it_was_written_is_refused(tmp_path, fault):
    states = ClientStates(tmp_path / "clients", 8)
    settled(states, kept(states, 1, 0, 1), kept(states, 2, 0, 2), round=0)
    path = tmp_path / "clients" / "0000001.r0.safetensors"
    whole = path.read_bytes()
    other = (tmp_path / "clients" / "0000002.r0.safetensors").read_bytes()
    bad = {"empty": b"", "cut": whole[:-1], "a bit": whole[:-1] + bytes([whole[-1] ^ 1]), "another's": other}
    path.unlink() if fault == "gone" else path.write_bytes(bad[fault])
    with pytest.raises(FedkitError, match=r"0000001.r0.safetensors: this client's state of the run is lost \("):
        states.load(1)
    assert same(states.load(2), state(2))


def test_what_is_private_is_its_owners_and_what_is_shared_follows_the_umask(tmp_path):
    def mode(path):
        return stat.S_IMODE(path.stat().st_mode)

    before = os.umask(0o022)
    try:
        for umask, expected in ((0o022, 0o644), (0o027, 0o640), (0o002, 0o664)):
            os.umask(umask)
            folder = tmp_path / f"{umask:o}"
            folder.mkdir()
            checkpoint, _ = committed(folder)
            states = ClientStates(folder / "clients", 8)
            kept(states, 1, 0, 1)
            save_state(state(0), folder / "adapter.safetensors")
            assert mode(checkpoint.history) == mode(folder / "adapter.safetensors") == expected
            for private in (checkpoint.path, checkpoint.turns, *states.folder.iterdir()):
                assert mode(private) == 0o600
    finally:
        os.umask(before)

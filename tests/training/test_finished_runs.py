"""What a finished run has left is believed as it was written, else refused with a remedy that works.

Full disks, rights, and clients that have nothing to train on.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from core_tools import SHORT, make_config, make_federation, same, without_time

from fedkit.common.errors import FedkitError
from fedkit.evaluation.exam import work_left
from fedkit.training.checkpoint import Checkpoint, Progress, read_lines
from fedkit.training.models import save_state
from fedkit.training.runs import Run, is_finished
from fedkit.training.sft import SFTClient
from fedkit.training.simulation import run

pytestmark = pytest.mark.usefixtures("frozen")
ROOT = Path(__file__).resolve().parents[2]
TRAIN = replace(SHORT, local_steps=1)


@pytest.fixture(scope="module")
def whole(tiny_loaded, tiny_spec, federation, tmp_path_factory):
    """A finished run, and what trains it again in another folder of runs."""
    config = make_config(tiny_spec, federation, "scaffold", TRAIN)

    def go(runs, **more):
        return run(config, federation, runs, loaded=tiny_loaded, progress=False, **more)

    return go(tmp_path_factory.mktemp("whole")), go


@pytest.fixture
def copy(whole, tmp_path):
    """That run in a folder of this test, to be damaged."""
    shutil.copytree(whole[0].folder.parent, tmp_path / "runs")
    return Run(tmp_path / "runs" / whole[0].folder.name, whole[0].config)


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def lose_a_line(path):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))


def edit(path):
    path.write_bytes(path.read_bytes().replace(b'"loss": ', b'"loss":  ', 1))


def another(path):
    save_state({"a": __import__("torch").zeros(3)}, path)


def change(key, value):
    def write(path):
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))

    return write


DAMAGE = {
    "manifest, empty": ("manifest.json", lambda p: p.write_bytes(b"")),
    "manifest, cut": ("manifest.json", half),
    "manifest, null": ("manifest.json", lambda p: p.write_text("null")),
    "manifest, a list": ("manifest.json", lambda p: p.write_text("[1]")),
    "manifest, deep": ("manifest.json", lambda p: p.write_text("[" * 100_000)),
    "manifest, not UTF-8": ("manifest.json", lambda p: p.write_bytes(b"\xff\xfe{}")),
    "manifest, older": ("manifest.json", change("files", None)),
    "manifest, of other files": ("manifest.json", change("files", {"../lock": ""})),
    "manifest, of another run": ("manifest.json", change("config", {"seed": 3})),
    "history, gone": ("history.jsonl", Path.unlink),
    "history, empty": ("history.jsonl", lambda p: p.write_bytes(b"")),
    "history, a line lost": ("history.jsonl", lose_a_line),
    "history, edited": ("history.jsonl", edit),
    "history, not UTF-8": ("history.jsonl", lambda p: p.write_bytes(b"\xff\xfe{}\n")),
    "adapter, gone": ("adapter.safetensors", Path.unlink),
    "adapter, empty": ("adapter.safetensors", lambda p: p.write_bytes(b"")),
    "adapter, cut": ("adapter.safetensors", half),
    "adapter, another": ("adapter.safetensors", another),
}


@pytest.mark.parametrize("fault", DAMAGE)
def test_a_damaged_run_is_refused_wherever_it_is_asked_for(copy, whole, fault):
    """By who would train it, start from it, plan with it or read it: one sentence that names the file."""
    name, damage = DAMAGE[fault]
    assert copy.finished
    damage(copy.folder / name)
    said = f"holds a finished run, but its {name} .*; delete this folder to train the run anew"
    for ask in (
        lambda: whole[1](copy.folder.parent),
        lambda: copy.finished,
        lambda: copy.adapter,
        lambda: copy.history,
        lambda: copy.manifest,
        lambda: is_finished(copy.folder, copy.config.hash),
        lambda: work_left(None, copy.config, copy.folder.parent.parent),
    ):
        with pytest.raises(FedkitError, match=said):
            ask()


def test_the_remedy_of_a_damaged_run_gives_the_run(copy, whole):
    (copy.folder / "history.jsonl").unlink()
    with pytest.raises(FedkitError) as caught:
        whole[1](copy.folder.parent)
    shutil.rmtree(str(caught.value).partition(" holds")[0])  # as it says
    done = whole[1](copy.folder.parent)
    assert same(done.adapter, whole[0].adapter) and without_time(done.history) == without_time(whole[0].history)


def test_a_run_that_starts_from_a_damaged_one_is_refused(copy, tiny_loaded, federation):
    half(copy.folder / "adapter.safetensors")
    config = replace(copy.config, initial=copy.config.hash)
    with pytest.raises(FedkitError, match="but its adapter.safetensors is not as it was written"):
        run(config, federation, copy.folder.parent, loaded=tiny_loaded, progress=False)


def test_what_is_no_finished_run_is_none(copy, tmp_path):
    (copy.folder / "manifest.json").unlink()
    assert not copy.finished and not Run(tmp_path / "none", copy.config).finished
    with pytest.raises(FedkitError, match="holds no finished run; train it first"):
        _ = copy.adapter


# --- rights


def test_shareable_files_follow_the_umask_and_client_states_are_private(whole, tmp_path):
    before = os.umask(0o027)
    try:
        done = whole[1](tmp_path)
    finally:
        os.umask(before)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in done.folder.iterdir() if p.is_file() and p.name != "lock"}
    assert modes == dict.fromkeys(("config.json", "history.jsonl", "adapter.safetensors", "manifest.json"), 0o640)
    states = [stat.S_IMODE(p.stat().st_mode) for p in (done.folder / "clients").iterdir()]
    assert states and set(states) == {0o600}


def in_a_child(work, told):
    """What `work()` gives or raises in a forked process, as text."""
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    told.touch()
    told.chmod(0o666)
    child = os.fork()
    if not child:
        try:
            message = str(work())
        except FedkitError as error:
            message = str(error)
        except BaseException as error:
            message = repr(error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        told.write_text(message)
        os._exit(0)
    os.waitpid(child, 0)
    return told.read_text()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root becomes another user")
def test_another_user_reads_a_shared_run_and_is_told_of_rights_where_it_may_not(whole):
    """Told to delete it, a user would destroy what its owner can read."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        folder = Path(shutil.copytree(whole[0].folder, Path(name) / whole[0].folder.name))

        def seen():
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            return is_finished(folder, whole[0].config.hash)

        assert in_a_child(seen, Path(name) / "told") == "True"
        os.chmod(folder / "adapter.safetensors", 0o600)
        said = in_a_child(seen, Path(name) / "told")
        assert said.endswith("cannot be read (Permission denied); mend its rights (chmod a+r), or ask its owner to")

        def on():
            seen_of = Checkpoint(folder)
            os.setuid(65534)
            return seen_of.load({})

        Checkpoint(folder).commit_round(Progress({}, round=1), {"round": 0})
        said = in_a_child(on, Path(name) / "told")
        assert "it is private to whoever started the run; let them finish it" in said and "delete" not in said


# --- full disks


@pytest.mark.parametrize("room", [3_000, 30_000, 100_000])
def test_a_full_disk_is_a_sentence_and_the_run_goes_on_to_the_same_end(whole, tmp_path, room):
    """A real limit on a file's size, in a child: a journal, a checkpoint, an adapter or a state does not fit."""

    def train():
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        return whole[1](tmp_path / "runs")

    message = in_a_child(train, tmp_path / "told")
    assert message.startswith("cannot write ") and "ile too large" in message, message
    assert "start again: the run goes on from its last finished client, with the very same result" in message
    done = whole[1](tmp_path / "runs")
    assert same(done.adapter, whole[0].adapter) and without_time(done.history) == without_time(whole[0].history)


# --- clients all of whose prompts fill max_length


@pytest.fixture
def crowded(federation):
    """Five clients, of whom d has long prompts alone."""
    import pyarrow as pa

    from fedkit.data.federated import FederatedDataset

    rows, parts = [], {}
    for client in federation.clients:
        parts[client] = list(range(len(rows), len(rows) + len(federation.records(client))))
        rows += [
            r | {"instruction": "Count on. " * 40 * (client == "d") + r["instruction"]}
            for r in federation.records(client)
        ]
    return FederatedDataset.from_partition(pa.Table.from_pylist(rows), parts, name="crowded")


def test_a_client_without_room_is_told_before_the_first_step(tiny_loaded, tiny_spec, crowded, tmp_path, monkeypatch):
    trained = []
    monkeypatch.setattr(SFTClient, "train", lambda *rest: trained.append(rest))
    config = make_config(tiny_spec, crowded, train=replace(TRAIN, rounds=15))
    said = (
        "client d of crowded: max_length 256 leaves no answer .*raise max_length .* or set without_room to 'leave_out'"
    )
    with pytest.raises(FedkitError, match=said):
        run(config, crowded, tmp_path, loaded=tiny_loaded, progress=False)
    assert trained == []


def test_or_left_out_and_logged(tiny_loaded, tiny_spec, crowded, tmp_path):
    """The round is that of the others: all five are drawn, and d adds nothing."""
    train = replace(TRAIN, clients_per_round=5, without_room="leave_out")
    done = run(make_config(tiny_spec, crowded, train=train), crowded, tmp_path, loaded=tiny_loaded, progress=False)
    assert [line["left_out"] for line in done.history] == [["d"], ["d"]] and done.manifest["left_out"] == 2
    d = done.history[0]["clients"][3]
    assert d["left_out"] == "no record leaves room for an answer within max_length" and d["steps"] == d["tokens"] == 0
    others = replace(train, clients_per_round=4)
    config = make_config(tiny_spec, crowded, train=others, clients=("a", "b", "c", "e"))
    assert same(run(config, crowded, tmp_path, loaded=tiny_loaded, progress=False).adapter, done.adapter)


def test_where_nobody_has_room_the_run_is_refused_all_the_same(tiny_loaded, tiny_spec, federation, tmp_path):
    config = make_config(tiny_spec, federation, train=replace(TRAIN, max_length=8, without_room="leave_out"))
    with pytest.raises(FedkitError, match="leaves no answer token in any of .* raise max_length to at least"):
        run(config, federation, tmp_path, loaded=tiny_loaded, progress=False)


# --- a run in progress


def test_the_history_of_a_run_in_progress_is_of_committed_rounds(tiny_loaded, tiny_spec, federation, tmp_path):
    config, seen = make_config(tiny_spec, federation, "fedavg", TRAIN), []

    def look(round, client):
        seen.append((round, len(list(read_lines(tmp_path / config.hash / "history.jsonl")))))
        assert not Run(tmp_path / config.hash, config).finished

    run(config, federation, tmp_path, loaded=tiny_loaded, progress=False, on_client=look)
    assert seen == [(0, 0), (0, 0), (1, 1), (1, 1)]


def test_a_federation_of_one_record_each(tiny_loaded, tiny_spec, tmp_path):
    """The smallest there is: the index of states, the journals and the seal hold for it too."""
    tiny = make_federation([1, 1])
    config = make_config(tiny_spec, tiny, "scaffold", replace(TRAIN, clients_per_round=1))
    done = run(config, tiny, tmp_path, loaded=tiny_loaded, progress=False)
    assert done.finished and len(done.history) == 2


# --- runs side by side

SIDE_BY_SIDE = """
import os, sys, time
from pathlib import Path
from fedkit.evaluation import exam

def sleeper(config, *, folder, **rest):  # in place of training
    (folder / f"{os.getpid()}.{config}").touch()
    time.sleep(600)

exam.train_and_sit, exam.work_left = sleeper, lambda *rest: exam.SHORT + 1
exam.run_all(["one", "two"], Path(), Path(sys.argv[1]), None, None, 2)
"""


def test_workers_end_when_the_process_that_started_them_is_killed(tmp_path):
    """Two runs side by side in processes of their own, and SIGKILL for the parent: nobody trains on."""
    psutil = pytest.importorskip("psutil")
    words = [sys.executable, "-c", SIDE_BY_SIDE, str(tmp_path)]
    parent = subprocess.Popen(words, env=os.environ | {"PYTHONPATH": str(ROOT)})
    try:
        deadline = time.monotonic() + 120
        while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.2)
        workers = [psutil.Process(int(path.name.split(".")[0])) for path in tmp_path.iterdir()]
        assert len(workers) == 2 and parent.pid not in {worker.pid for worker in workers}
    finally:
        parent.kill()
        parent.wait()
    _, alive = psutil.wait_procs(workers, timeout=15)
    for worker in alive:
        worker.kill()
    assert alive == []

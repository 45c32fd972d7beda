"""reproduce.py as a user calls it: tiny notebooks, run for real through papermill in child processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

import psutil
import pytest
from hostile_texts import dangers
from runner_tools import ROOT, call, command, status, write_notebook, writes


def order(tmp_path):
    """Products in the order in which they were written since the last look."""
    log = tmp_path / "results" / "smoke" / "order.txt"
    names = log.read_text().split() if log.is_file() else []
    log.unlink(missing_ok=True)
    return names


def wait_for(path, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.05)


def test_a_life_of_a_results_folder(tmp_path):
    """New, failing, unchanged, mended, product lost, forced: what runs each time, in what order, and the exit code."""
    folder = tmp_path / "notebooks"
    results = tmp_path / "results" / "smoke"
    write_notebook(folder, "10", writes("made/10.txt", "rounds"), products=["made/10.txt"], own="rounds = 1")
    reads = "from pathlib import Path\nassert Path(results_dir, 'made/10.txt').read_text() == '1'"
    write_notebook(folder, "05", reads, writes("made/05.txt"), depends_on=["10"], products=["made/05.txt"])
    write_notebook(folder, "30", "print('before')", "1 / 0")
    write_notebook(folder, "40", writes("made/40.txt"), depends_on=["30"], products=["made/40.txt"])

    first = call(tmp_path)
    assert first.returncode == 1, first.stderr
    assert order(tmp_path) == ["made/10.txt", "made/05.txt"]  # by dependency, not by number; and past the failure
    assert "30 failed: cell [4]: ZeroDivisionError: division by zero" in first.stderr
    assert "Traceback" not in first.stderr + first.stdout
    found = status(tmp_path)
    assert {n: r["status"] for n, r in found.items()} == {"05": "ok", "10": "ok", "30": "failed", "40": "skipped"}
    assert found["40"]["error"] == "depends on 30, which failed"
    assert set(found["10"]) >= {"number", "title", "status", "seconds", "html", "error"}
    for number in ("05", "10", "30"):
        assert json.loads((results / "notebooks" / f"{number}.ipynb").read_text())["cells"]
        assert "<html" in (results / found[number]["html"]).read_text()
    assert "before" in (results / "notebooks" / "30.ipynb").read_text()  # what ran before the error is kept
    suite = ElementTree.parse(results / "junit.xml").getroot()
    assert [suite.get(n) for n in ("tests", "failures", "skipped")] == ["4", "1", "1"]
    summary = json.loads((results / "summary.json").read_text())
    assert summary["profile"] == "smoke" and summary["seeds"] == [0] and summary["peak_memory_mb"] > 10
    assert summary["versions"]["papermill"] and summary["device"]["cpu"] and summary["wall_seconds"] > 0
    assert (results / "index.html").is_file()
    assert not [p for p in results.rglob("*") if ".part" in p.name or p.name.endswith(".tmp")]

    write_notebook(folder, "30", "print('mended')")
    second = call(tmp_path, "--jobs", "1")
    assert second.returncode == 0, second.stderr
    assert order(tmp_path) == ["made/40.txt"] and "2 ran, 2 unchanged, 0 failed" in second.stdout

    plan = call(tmp_path, "--plan")
    assert plan.returncode == 0 and "nothing to run" in plan.stdout
    assert re.search(r"\d\.\d measured", call(tmp_path, "--list").stdout)

    (results / "made" / "10.txt").unlink()
    third = call(tmp_path)
    assert third.returncode == 0 and order(tmp_path) == ["made/10.txt"]  # same input: 05 need not run again
    before = (results / "summary.json").read_text()
    assert call(tmp_path).returncode == 0 and order(tmp_path) == []
    assert (results / "summary.json").read_text() == before  # a run of nothing does not overwrite what was measured

    forced = call(tmp_path, "--only", "05", "--force")
    assert forced.returncode == 0 and order(tmp_path) == ["made/05.txt"]


def test_refusal_is_one_sentence(tmp_path):
    """A FedkitError in a notebook: its sentence alone, once for two notebooks, and exit code 2."""
    sentence = "aya/train.jsonl line 3: the field inputs is missing; add it"
    raises = f"from fedkit.common.errors import FedkitError\nraise FedkitError({sentence!r})"
    write_notebook(tmp_path / "notebooks", "10", raises)
    write_notebook(tmp_path / "notebooks", "20", raises)
    done = call(tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip() == f"10, 20: {sentence}"
    assert status(tmp_path)["10"]["error"] == sentence


def test_missing_product_and_dead_kernel(tmp_path):
    """A notebook that does not write what it promises, and one whose kernel dies, have failed."""
    write_notebook(tmp_path / "notebooks", "10", "1", products=["tables/never.csv"])
    write_notebook(tmp_path / "notebooks", "20", "import os\nos._exit(3)")
    done = call(tmp_path)
    assert done.returncode == 1
    assert "10 failed: did not write tables/never.csv, named in metadata" in done.stderr
    assert "20 failed: its kernel was killed" in done.stderr


def test_parameters_arrive_and_no_user_setting_leaks(tmp_path):
    """Values reach the cell with their types; the kernel is this interpreter, without the user's IPython start-up."""
    home = tmp_path / "home"
    startup = home / ".ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("leaked = True\n")
    kernel = home / ".local" / "share" / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text('{"argv": ["/bin/false"], "display_name": "x", "language": "python"}')
    checks = (
        "import os, sys",
        "assert (profile, seeds, data_dir, offline, rate) == ('smoke', [3, 1], None, True, 2.0)",
        "assert type(rate) is float and 'leaked' not in globals()",
        f"assert sys.executable == {sys.executable!r} and os.environ['HF_HUB_OFFLINE'] == '1'",
        "import fedkit.common.errors\nassert os.path.basename(os.getcwd()) == 'notebooks'",
    )
    write_notebook(tmp_path / "notebooks", "10", *checks, own="rate = 0.5")
    env = {"HOME": str(home), "IPYTHONDIR": str(home / ".ipython")}
    done = call(tmp_path, "--seeds", "3", "1", "--offline", "-p", "rate", "2", env=env)
    assert done.returncode == 0, done.stderr


def test_check_runs_solutions_and_refuses_stored_outputs(tmp_path):
    """--check adds the solutions; a source stored with outputs fails without being run."""
    folder = tmp_path / "notebooks"
    path = write_notebook(folder, "10", writes("made/10.txt"))
    write_notebook(folder, "10s", writes("made/10s.txt"), depends_on=["10"])
    write_notebook(folder, "20", writes("made/20.txt"))
    path20 = folder / "20_sample.ipynb"
    path20.write_text(path20.read_text().replace('"execution_count": null', '"execution_count": 7', 1))
    done = call(tmp_path, "--check")
    assert done.returncode == 1 and order(tmp_path) == ["made/10.txt", "made/10s.txt"]
    assert "20 failed: is stored with execution count (cell 2); clear all outputs" in done.stderr
    assert path.read_text().count('"outputs": []') == 2  # the source is never touched


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_leaves_nothing_running_and_nothing_half_written(tmp_path, number):
    """The cell is interrupted, so that its own clean-up runs; the executed part is kept; the exit code tells."""
    results = tmp_path / "results" / "smoke"
    slow = (
        "from pathlib import Path\nimport time\n"
        "Path(results_dir, 'begun').touch()\n"
        "try:\n    time.sleep(300)\nfinally:\n    Path(results_dir, 'cleaned').touch()"
    )
    write_notebook(tmp_path / "notebooks", "10", "print('early')", slow, writes("made/10.txt"))
    write_notebook(tmp_path / "notebooks", "20", "1", depends_on=["10"])
    process = subprocess.Popen(
        command(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    wait_for(results / "begun")
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 2  # the child and its kernel

    second = call(tmp_path)  # meanwhile: one run at a time
    assert second.returncode == 2
    remedy = "wait for it, stop it, or give another --results"
    assert second.stderr.startswith(f"another run (process {process.pid} on ")
    assert second.stderr.endswith(f") is writing to {results}; {remedy}\n") and len(second.stderr.splitlines()) == 1

    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, out + err
    assert "the same command goes on from here" in err and "Traceback" not in out + err
    assert (results / "cleaned").exists() and not (results / "made").exists()
    assert not [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    partial = json.loads((results / "notebooks" / "10.partial.ipynb").read_text())
    assert "early" in json.dumps(partial) and not (results / "notebooks" / "10.ipynb").exists()
    assert {n: r["status"] for n, r in status(tmp_path).items()} == {"10": "interrupted"}
    assert not [p for p in results.rglob(".*") if p.name != ".lock"]


def test_a_killed_run_leaves_no_orphans_and_no_lock(tmp_path):
    """SIGKILL cannot be caught: the children notice and go, and the next run starts at once."""
    write_notebook(
        tmp_path / "notebooks",
        "10",
        "from pathlib import Path\nimport time\nbegun = Path(results_dir, 'begun')\n"
        "first = not begun.exists()\nbegun.touch()\ntime.sleep(300 if first else 0)",
    )
    process = subprocess.Popen(command(tmp_path), stdout=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(ROOT)})
    wait_for(tmp_path / "results" / "smoke" / "begun")
    family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    gone, alive = psutil.wait_procs(family, timeout=15)
    assert not alive
    again = call(tmp_path)
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--only", "77"), "unknown notebook 77; known: 10"),
        (("--profile", "huge"), "unknown profile 'huge'"),
        (("-p", "rounds", "5"), "unknown parameter 'rounds' in 10"),
        (("--data-dir", "/nowhere/at/all"), "--data-dir /nowhere/at/all: it does not exist"),
        (("--results", "/dev/null/results"), "the results folder /dev/null/results/smoke cannot be written"),
        (("--notebooks", "/nowhere/at/all"), "no such folder of notebooks"),
    ],
)
def test_mistakes_end_with_code_2_before_anything_is_written(tmp_path, words, said):
    write_notebook(tmp_path / "notebooks", "10", "1")
    done = call(tmp_path, *words)
    assert done.returncode == 2 and said in done.stderr
    assert done.stderr.count("\n") == 1 and done.stdout == ""
    assert not (tmp_path / "results").exists()


def test_list_and_plan_are_quick_and_do_not_import_torch(tmp_path):
    """Under 2 seconds of processor time for --list; neither it nor --plan imports torch or papermill."""
    write_notebook(tmp_path / "notebooks", "41", needs=["no GPU"], title="Table 2", products=["tables/41.csv"])
    script = (
        "import sys, resource, pathlib\n"
        "from fedkit.runner.cli import main\n"
        "code = main(sys.argv[1:], root=pathlib.Path('.'))\n"
        "usage = resource.getrusage(resource.RUSAGE_SELF)\n"
        "heavy = {'torch', 'transformers', 'datasets', 'papermill', 'pandas'} & set(sys.modules)\n"
        "print(code, sorted(heavy), usage.ru_utime + usage.ru_stime, file=sys.stderr)"
    )
    for action in ("--list", "--plan"):
        words = [sys.executable, "-c", script, *command(tmp_path, action)[2:]]
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(words, capture_output=True, text=True, env=env, check=True)
        code, heavy, seconds = done.stderr.split(maxsplit=2)
        assert (code, heavy) == ("0", "[]")
        assert float(seconds) < 2.0
        assert "41" in done.stdout and "Table 2" in done.stdout
    assert not (tmp_path / "results").exists()


def test_any_folder_name_any_tmpdir_and_hostile_errors(tmp_path):
    """Braces (papermill fills them), quotes, a TMPDIR too long for a socket; errors of data print as one line."""
    text = "\\udcff\\x1b[2J<script>1</script>\\n::error::x"
    write_notebook(tmp_path / "notebooks", "10", writes("made/10.txt"))
    write_notebook(tmp_path / "notebooks", "20", f"print('{text}')", f"raise ValueError('{text}')")
    copy = tmp_path / "notebooks" / "10_sample-Copy1.ipynb"
    copy.write_bytes((tmp_path / "notebooks" / "10_sample.ipynb").read_bytes())
    long = tmp_path / ("t" * 120)
    long.mkdir()
    results = tmp_path / "nb {2} {profile} '\"#%41 é"
    done = call(tmp_path, "--results", str(results), env={"TMPDIR": str(long)})
    assert done.returncode == 1 and (results / "smoke" / "made" / "10.txt").read_text() == "done"
    assert "passed over as copies, named unlike the kit's notebooks: 10_sample-Copy1.ipynb" in done.stderr
    assert "\n20 failed: cell [4]: ValueError: " in done.stderr and "\n::error" not in done.stdout + done.stderr
    assert not {"\x1b", "\x07"} & set(done.stdout + done.stderr)
    assert "\\x1b[2J<script>1</script> ::error::x" in done.stderr
    page = (results / "smoke" / "notebooks" / "20.html").read_text(encoding="utf-8")
    assert dangers(page) == [] and dangers((results / "smoke" / "index.html").read_text(encoding="utf-8")) == []
    assert list(long.iterdir()) == []


def test_an_ignored_signal_stays_ignored(tmp_path):
    """SIGHUP as under `nohup`, or another: the run goes on, and Ctrl-C still stops it."""
    ignored = (signal.SIGHUP, signal.SIGTERM)
    results = tmp_path / "results" / "smoke"
    slow = "from pathlib import Path\nimport time\nPath(results_dir, 'begun').touch()\ntime.sleep(300)"
    write_notebook(tmp_path / "notebooks", "10", slow)
    process = subprocess.Popen(
        command(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: [signal.signal(number, signal.SIG_IGN) for number in ignored],
    )
    wait_for(results / "begun")
    for number in ignored:
        process.send_signal(number)
    time.sleep(1.0)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err.count("stopping") == 1, out + err


def test_a_full_disk_is_a_sentence(tmp_path):
    """Files of at most 100 kB stand for a disk without room: the executed notebook, with its outputs, is larger."""
    write_notebook(tmp_path / "notebooks", "10", "print('x' * 200_000)")
    words = ["bash", "-c", 'ulimit -f 100; exec "$@"', "-", *command(tmp_path)]
    done = subprocess.run(
        words, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=240, check=False
    )
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    said = r"10 failed: it could not be saved \(.*File too large.*\); mend that, and the same command goes on"
    assert re.search(said, done.stderr)

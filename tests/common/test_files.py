"""Files: rights are those of the umask or the owner's alone; what is sealed is read as it was written or not at all."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys

import pytest

from fedkit.common.errors import FedkitError
from fedkit.common.files import PRIVATE, new_file, read_json, read_sealed, write_sealed, write_text

MAKE = """
import os, sys
from pathlib import Path
from fedkit.common.files import PRIVATE, new_file, new_folder, write_text
os.umask(int(sys.argv[1], 8))
home = Path(sys.argv[2])
write_text(home / "shared", "x")
write_text(home / "private", "x", mode=PRIVATE)
with new_file(home / "renamed") as part:
    other = home / "other"
    other.touch(0o600)  # as safetensors writes
    os.replace(other, part)
with new_folder(home / "folder", lambda path: False) as folder:
    (folder / "file").touch()
"""
DATA = {"scores": {"a": [1.5, None, 1e-300, "\u0440\u2028"]}, "report": None}


@pytest.mark.parametrize(
    ("umask", "shared", "folder"), [("022", 0o644, 0o755), ("077", 0o600, 0o700), ("002", 0o664, 0o775)]
)
def test_rights_follow_the_umask_but_for_private_files(tmp_path, umask, shared, folder):
    subprocess.run([sys.executable, "-c", MAKE, umask, str(tmp_path)], check=True)
    rights = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert rights == {"shared": shared, "private": 0o600, "renamed": shared, "folder": folder}


def test_a_private_file_is_so_from_its_first_byte(tmp_path):
    with new_file(tmp_path / "x", PRIVATE) as part:
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
    write_text(tmp_path / "x", "anew")  # and what takes its place is what it is written as
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o666 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_what_is_sealed_is_read_as_it_was_written(tmp_path):
    path = write_sealed(tmp_path / "x.json", DATA)
    assert read_sealed(path) == DATA == read_json(path)["data"]
    assert read_sealed(tmp_path / "none.json") is None


def test_what_is_not_as_it_was_written_is_never_read(tmp_path):
    """Every cut, every single byte changed, and files of other kinds."""
    path = write_sealed(tmp_path / "x.json", DATA)
    whole = path.read_bytes()
    cuts = [whole[:end] for end in range(len(whole))]
    edits = [whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :] for i in range(len(whole))]
    others = [json.dumps(DATA).encode(), b"[1, 2]", b"null", b"\xff\xfe", whole * 2, whole + b"\n", b"[" * 100_000]
    for content in cuts + edits + others:
        path.write_bytes(content)
        with pytest.raises(FedkitError, match="x.json is not as it was written"):
            read_sealed(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(FedkitError, match="x.json cannot be read .Is a directory"):
        read_sealed(path)

"""What names a result's code: imports are followed, also in functions, but for type checkers' and registries'."""

from __future__ import annotations

import textwrap

import pytest

from fedkit.common.code import ROOT, code_hash, imports, source_files

FILES = {
    "__init__.py": "",
    "low/__init__.py": "from .things import thing as renamed\n\nOWN = 1\n",
    "low/things.py": "import json\n\n\ndef thing():\n    return json, 'table.json'\n",
    "low/other.py": "x = 'lists.json'\n",
    "low/table.json": "{}",
    "low/lists.json": "{}",
    "low/deep/more.yaml": "a: 1",
    "low/notes.md": "words",
    "mid/__init__.py": "",
    "mid/work.py": """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        from ..low import renamed
        if TYPE_CHECKING:
            from ..top import page
        else:
            from . import either

        def later():
            from .. import lazy
            import pkg.absolute
            from ..mid.registry import look_up
        """,
    "mid/either.py": "",
    "mid/registry.py": "from . import entry\n",
    "mid/entry.py": "",
    "lazy.py": "",
    "absolute.py": "",
    "top/__init__.py": "",
    "top/page.py": "from ..mid import work\n",
}


@pytest.fixture
def package(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / "pkg" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return tmp_path / "pkg"


def names(root, *modules):
    return {path.relative_to(root).as_posix() for path in source_files(*modules, root=root)}


def test_what_is_reached_and_what_is_not(package):
    """`renamed` is followed to the file that defines it, past the package that hands it on."""
    assert names(package, "pkg.mid.work") == {
        "mid/work.py", "mid/either.py", "lazy.py", "absolute.py",
        "low/things.py", "low/table.json", "low/deep/more.yaml",
    }  # fmt: skip
    assert names(package, "pkg.mid.work", "pkg.mid.entry") - names(package, "pkg.mid.work") == {"mid/entry.py"}
    assert "top/page.py" in names(package, "pkg.top.page") and "mid/work.py" in names(package, "pkg.top.page")
    with pytest.raises(ValueError, match="pkg.nowhere"):
        source_files("pkg.nowhere", root=package)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("low/things.py", True),  # imported
        ("lazy.py", True),  # imported in a function
        ("low/table.json", True),  # data that a module reached names
        ("low/lists.json", False),  # another one's
        ("low/deep/more.yaml", True),  # nobody's by name: it counts for all beside it
        ("mid/either.py", True),  # what runs where type checkers do not
        ("top/page.py", False),  # for type checkers alone
        ("low/other.py", False),
        ("low/notes.md", False),
        ("mid/registry.py", False),
        ("mid/entry.py", False),
    ],
)
def test_an_edit_counts_where_it_is_reached(package, name, changes):
    before = code_hash("pkg.mid.work", root=package)
    path = package / name
    path.write_text(path.read_text() + ("\n# edited\n" if name.endswith("py") else "\n\n"))
    assert (code_hash("pkg.mid.work", root=package) != before) == changes


def test_a_new_file_counts_as_soon_as_it_is_imported(package):
    before = code_hash("pkg.mid.work", root=package)
    (package / "mid" / "new.py").write_text("y = 2\n")
    assert code_hash("pkg.mid.work", root=package) == before
    path = package / "lazy.py"
    path.write_text("def f():\n    from .mid.new import y\n    return y\n")
    imported = code_hash("pkg.mid.work", root=package)
    assert imported != before and imports(path, package) == ["pkg.mid.new"]
    (package / "mid" / "new.py").write_text("y = 3\n")
    assert code_hash("pkg.mid.work", root=package) != imported


def test_versions_count(package):
    bare = code_hash("pkg.mid.work", root=package)
    assert bare != code_hash("pkg.mid.work", root=package, packages=("torch",))
    assert code_hash("pkg.lazy", root=package, packages=("no_such_thing",)) != code_hash("pkg.lazy", root=package)


def test_the_lists_of_refusals_name_advbench_alone():
    lists = ROOT / "evaluation" / "benchmarks" / "refusals.json"
    assert lists in source_files("fedkit.evaluation.benchmarks.advbench")
    assert lists not in source_files("fedkit.evaluation.benchmarks.mmlu", "fedkit.evaluation.benchmarks.mt_bench")


def test_the_kits_own_training_is_found():
    reached = {path.relative_to(ROOT).as_posix() for path in source_files("fedkit.training.simulation")}
    assert {"training/losses.py", "training/checkpoint.py", "common/seeds.py", "data/federated.py"} <= reached
    assert not [name for name in reached if name.split("/")[0] in ("report", "profiles", "runner", "analysis")]

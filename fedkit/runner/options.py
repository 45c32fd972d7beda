"""The command line of reproduce.py as frozen data. Every bad value is a FedkitError before anything is written."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ..common.errors import FedkitError
from ..common.files import user_path
from ..common.machine import cores
from ..common.seeds import checked_seeds
from ..data.place import data_folder
from ..mini.records import world
from ..profiles.registry import get_profile
from ..profiles.specs import Profile
from ..training.specs import base_name

EPILOG = """examples:
  python reproduce.py                                  every table and figure of the mini profile, on a laptop
  python reproduce.py --list                           notebooks, what they need, minutes, products
  python reproduce.py --profile paper --plan           what would run, against Table 7, memory and time
  python reproduce.py --only 31 32 --seeds 0 1 -p short_rounds 3         some notebooks, seeds and a parameter
  python reproduce.py --profile paper --only 41 --judge-model paper      rated by GPT-4, the key in OPENAI_API_KEY
exit code: 0 all well, 1 a notebook failed, 2 a mistake in the call or the input, 130 stopped"""


@dataclass(frozen=True)
class Options:
    """What one call asks for. `jobs`: notebooks at a time."""

    profile: Profile
    results: Path
    notebooks: Path
    root: Path  # holds requirements.lock; the repository
    only: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    jobs: int = 2
    data_dir: Path | None = None
    offline: bool = False
    force: bool = False
    check: bool = False
    action: str = "run"  # run, list, plan
    model: str | None = None
    world_seed: int = 0
    judge_model: str | None = None
    judge_url: str | None = None
    params: tuple[tuple[str, str], ...] = ()

    @property
    def folder(self) -> Path:
        """results/<profile>, where this call writes."""
        return self.results / self.profile.name


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise FedkitError(f"{message}; see python reproduce.py --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="reproduce.py",
        description="Run fedkit's notebooks headlessly and collect tables, figures, claims and an HTML report.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--profile", default="mini", help="smoke, mini (default), course or paper")
    add("--only", nargs="+", default=[], metavar="NN", help="numbers of notebooks; what they depend on runs if needed")
    add("--seeds", nargs="+", type=int, default=[], metavar="N", help="default: the profile's")
    add("--jobs", type=int, metavar="N", help="notebooks at a time; default 2, on one core or a GPU profile 1")
    add("--data-dir", metavar="DIR", help="local folder of the upstream files")
    add(
        "--model",
        metavar="NAME",
        help="a folder or Hub id in place of the profile's base model; default: the profile's",
    )
    add("--world-seed", type=int, default=0, metavar="N", help="another embedded world than the shipped one, 0")
    add("--offline", action="store_true", help="never ask the Hub")
    add("--force", action="store_true", help="run also what is unchanged")
    add("--check", action="store_true", help="run also the solutions; check that sources are stored clean")
    add("-p", dest="params", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="a parameter")
    add("--judge-model", metavar="NAME", help="rates open answers; `paper`: GPT-4 as there; default: by a reference")
    add(
        "--judge-url",
        metavar="URL",
        help="an OpenAI-compatible server; default OpenAI's; keys: OPENAI_API_KEY, else FEDKIT_JUDGE_KEY",
    )
    add("--results", metavar="DIR", help="default: results/ beside reproduce.py")
    add("--notebooks", metavar="DIR", help="default: notebooks/ beside reproduce.py")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", dest="action", action="store_const", const="list", help="notebooks and products")
    what.add_argument("--plan", dest="action", action="store_const", const="plan", help="what would run, and why")
    parser.set_defaults(action="run")
    return parser


def parse(argv: Sequence[str], *, root: Path) -> Options:
    """Options from command-line words; `root` is the repository. Raises FedkitError; `--help` exits with 0."""
    given = _parser().parse_args(list(argv))
    model = None if given.model is None else base_name(given.model)
    profile = get_profile(given.profile).with_model(model)
    if given.jobs is not None and given.jobs < 1:
        raise FedkitError(f"--jobs {given.jobs}: give at least 1")
    seeds = checked_seeds(given.seeds, "--seeds") if given.seeds else profile.seeds
    results = root / "results" if given.results is None else user_path(given.results)
    world(given.world_seed, results)
    if given.judge_url and not given.judge_model:
        raise FedkitError("--judge-url names a server and no model; give --judge-model as well")
    if given.judge_model is not None:
        from ..evaluation.judges.choice import JudgeChoice

        JudgeChoice(given.judge_model, given.judge_url)  # refused before it is written into any notebook
    return Options(
        profile=profile,
        results=results,
        notebooks=root / "notebooks" if given.notebooks is None else user_path(given.notebooks),
        root=root,
        only=tuple(given.only),
        seeds=seeds,
        jobs=given.jobs or (1 if profile.gpu else min(2, cores())),
        data_dir=None if given.data_dir is None else data_folder(given.data_dir),
        offline=given.offline,
        force=given.force,
        check=given.check,
        action=given.action,
        params=tuple((name, value) for name, value in given.params),
        model=model,
        world_seed=given.world_seed,
        judge_model=given.judge_model,
        judge_url=given.judge_url,
    )

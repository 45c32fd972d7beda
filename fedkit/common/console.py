"""What a reader sees while something runs: one progress bar, and no chatter of the libraries below."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator
from typing import Any, TextIO

HEADLESS = "FEDKIT_HEADLESS"  # set by reproduce.py: text bars that seldom refresh, since each refresh is kept

# What a terminal obeys instead of showing it, what no encoding can write, and what turns the order of letters around.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """`text` as a terminal or a page shows it: control characters but tabs and new lines as escapes (`\\x1b`)."""
    return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], text.replace("\r\n", "\n"))


def progress(**options: Any) -> Any:
    """A tqdm bar with time left: a widget in JupyterLab where ipywidgets is installed, else text."""
    if os.environ.get(HEADLESS):
        from tqdm import tqdm

        return tqdm(mininterval=20.0, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tqdm warns where ipywidgets is absent; text does as well
        from tqdm.auto import tqdm

    return tqdm(mininterval=1.0, **options)


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a text at once, on the error stream if none is named; what the stream cannot write stands as an escape."""
    stream = sys.stderr if stream is None else stream
    encoding = stream.encoding or "utf-8"
    print(printable(text).encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence what a reader can do nothing about: loading bars, deprecations inside libraries, missing kernels."""
    from transformers.utils import logging as hf

    chatty = [logging.getLogger(name) for name in ("bitsandbytes", "accelerate")]
    levels = [log.level for log in chatty]
    verbosity, bars = hf.get_verbosity(), hf.is_progress_bar_enabled()
    hf.set_verbosity_error()
    hf.disable_progress_bar()
    for log in chatty:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        hf.set_verbosity(verbosity)
        if bars:
            hf.enable_progress_bar()
        for log, level in zip(chatty, levels, strict=True):
            log.setLevel(level)

"""Figures of verbs: angles and widths are the shares, and no two words touch."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Wedge

from fedkit.analysis.figures.verbs import REST, palette, sunburst, sunbursts, verb_bars
from fedkit.analysis.verbs.counts import OTHER
from fedkit.common.seeds import generator

NOUNS = "story email poem function summary letter paragraph recipe explanation list difference code".split()
VERBS = "write explain give create summarize describe translate generate make provide find compare suggest".split()


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def pairs(verbs=13, seed=0):
    rng = generator(seed, "test")
    rows = [(verb, noun, int(rng.integers(1, 60))) for verb in VERBS[:verbs] for noun in rng.choice(NOUNS, 4, False)]
    return pd.DataFrame(rows, columns=["verb", "noun", "count"])


def wedges(ax):
    return [patch for patch in ax.patches if isinstance(patch, Wedge)]


def corners(text, renderer):
    """The corners of a word as it is turned on paper, (4, 2), in pixels."""
    turn = np.deg2rad(text.get_rotation())
    text.set_rotation(0)
    box = text.get_window_extent(renderer)
    text.set_rotation(np.rad2deg(turn))
    middle = text.get_transform().transform(text.get_position())
    points = np.array([(box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1)]) - middle
    return middle + points @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])


def apart(one, other):
    """Whether a line separates two rectangles, along a side of either (separating axis theorem)."""
    for shape in (one, other):
        for i in range(2):
            side = shape[i + 1] - shape[i]
            a, b = one @ side, other @ side
            if a.max() <= b.min() or b.max() <= a.min():
                return True
    return False


def test_angles_are_shares_of_the_records_shown():
    frame = pairs()
    _, ax = plt.subplots()
    nameless = sunburst(ax, frame)
    inner = [w for w in wedges(ax) if w.r < 1]
    outer = [w for w in wedges(ax) if w.r == 1]
    turns = [w.theta2 - w.theta1 for w in outer]
    assert np.allclose(turns, 360 * frame["count"] / frame["count"].sum())
    by_verb = frame.groupby("verb", sort=False)["count"].sum()
    assert np.allclose([w.theta2 - w.theta1 for w in inner], 360 * by_verb / by_verb.sum())
    words = [text.get_text() for text in ax.texts]
    assert len(words) + nameless == len(inner) + len(outer) and "write" in words


@pytest.mark.parametrize(("columns", "fontsize", "nouns"), [(2, 7.5, True), (4, 6.5, False)])
def test_no_two_words_touch(columns, fontsize, nouns):
    """Also after the layout is final: the names that were let in fit their wedges."""
    panels = {f"panel {i}": pairs(3 + i, seed=i) for i in range(9)}
    figure, nameless = sunbursts(panels, columns=columns, fontsize=fontsize, nouns=nouns)
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    for ax in figure.axes:
        boxes = [corners(text, renderer) for text in ax.texts]
        for i, one in enumerate(boxes):
            assert all(apart(one, other) for other in boxes[i + 1 :])
    assert sum(len(wedges(ax)) - len(ax.texts) for ax in figure.axes) == nameless
    assert {text.get_text() for ax in figure.axes for text in ax.texts} <= {*VERBS, *NOUNS}


def test_one_verb_and_none():
    _, ax = plt.subplots()
    sunburst(ax, pd.DataFrame([("write", "poem", 3)], columns=["verb", "noun", "count"]))
    assert [text.get_text() for text in ax.texts] == ["write", "poem"]
    figure, nameless = sunbursts({"nobody": pd.DataFrame(columns=["verb", "noun", "count"])})
    assert nameless == 0 and [t.get_text() for t in figure.axes[0].texts] == ["no verb with a noun"]


def test_bars_are_shares_and_the_rest_is_grey():
    shares = pd.DataFrame({"write": [0.5, 0.02], "tell": [0.3, 0.0], OTHER: [0.2, 0.98]}, index=["a", "b"])
    figure = verb_bars({"one": shares, "two": shares, "three": shares})
    assert len(figure.axes) == 3
    ax = figure.axes[0]
    assert np.allclose([bar.get_width() for bar in ax.patches], shares.to_numpy().T.ravel())
    assert [bar.get_facecolor() for bar in ax.patches[-2:]] == [matplotlib.colors.to_rgba(REST)] * 2
    assert [text.get_text() for text in ax.texts] == ["write", "tell"]  # a part of 2 % has no room, the rest no name
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["write", "tell", OTHER]


def test_ten_verbs_have_ten_colours():
    colours = palette([str(i) for i in range(20)])
    assert len(set(colours.values())) == 20
    assert matplotlib.colors.to_rgb(REST) not in colours.values()

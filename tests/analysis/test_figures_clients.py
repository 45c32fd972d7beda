"""What the figures of clients draw, read back from the axes; the slider and its stand-in."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

from fedkit.analysis.figures import heterogeneity
from fedkit.analysis.figures.clients import crowds, histogram
from fedkit.analysis.figures.heterogeneity import slider, split_curve
from fedkit.analysis.figures.style import axes, dots

matplotlib.use("Agg")


@pytest.fixture
def ax():
    import matplotlib.pyplot as plt

    fig, panel = axes(2.0)
    yield panel
    plt.close(fig)


def test_a_crowd_shows_each_client_once_and_its_median(ax):
    crowds(ax, {"a": np.array([1.0, 2.0, 300.0]), "b": np.array([5.0])}, x="tokens", log=True)
    dots = [line for line in ax.lines if line.get_linestyle() == "None"]
    assert [sorted(line.get_xdata()) for line in dots] == [[1.0, 2.0, 300.0], [5.0]]
    assert [text.get_text() for text in ax.texts] == ["2", "5"] and ax.get_xscale() == "log"
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "b"]


def test_a_histogram_counts_every_client(ax):
    sizes = np.array([1, 1, 2, 3, 50])
    histogram(ax, sizes, x="records", colour="C0")
    assert sum(bar.get_height() for bar in ax.patches) == len(sizes)
    ticks = next(line for line in ax.lines if line.get_marker() == "|")
    assert sorted(ticks.get_xdata()) == sizes.tolist() and min(ax.get_yticks()) >= 0
    assert "median 2" in ax.texts[0].get_text() and "mean 11" in ax.texts[0].get_text()


def test_the_curve_is_the_mean_of_its_draws_and_natural_stands_apart(ax):
    curve = pd.DataFrame(
        {"split": ["iid", "iid", "1", "1", "natural"], "draw": [0, 1, 0, 1, 0], "value": [0.0, 0.2, 0.3, 0.5, 0.9]}
    )
    split_curve(ax, curve, title="t", colour="C0")
    means = next(line for line in ax.lines if line.get_marker() == "o")
    assert means.get_ydata().tolist() == pytest.approx([0.1, 0.4])
    assert next(line for line in ax.lines if line.get_marker() == "s").get_ydata().tolist() == [0.9]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["iid", "1", "natural"]


def test_without_a_reader_the_still_stops_are_shown():
    shown = []
    slider(shown.append, [("iid", "iid"), ("1", 1.0), ("natural", "natural")], still=["iid", 1.0])
    assert shown == ["iid", 1.0]


def test_with_a_reader_there_is_a_slider_that_starts_at_the_last_stop(monkeypatch):
    pytest.importorskip("ipywidgets")
    monkeypatch.setattr(heterogeneity, "live", lambda: True)
    shown = []
    slider(shown.append, [("iid", "iid"), ("1", 1.0)], still=["iid"])
    assert shown == [1.0]


def test_reproduce_is_no_reader(monkeypatch):
    monkeypatch.setenv(heterogeneity.HEADLESS, "1")
    assert not heterogeneity.live()


def test_dots_mark_the_value_that_they_are_compared_with(ax):
    frame = pd.DataFrame({"value": [0.5, 0.7], "low": [0.4, np.nan], "high": [0.6, np.nan]}, index=["a", "b"])
    dots(ax, frame, x="share", at=0.55)
    assert [text.get_text() for text in ax.texts] == ["0.50", "0.70"]
    assert [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--"] == [0.55]

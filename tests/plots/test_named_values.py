import math

import pytest

from d2lstab.plots import draw_named_values, figure
from d2lstab.plots.style import render

SERIES = {"forward": {"relu": 1.414, "tanh": 1.59}, "torch": {"tanh": 1.667, "selu": 0.75}}


def test_each_name_has_a_row_and_each_series_its_dots():
    fig, ax = figure()
    draw_named_values(ax, SERIES, title="Gains", xlabel="gain", reference=1.0)
    forward, torch, reference = ax.get_lines()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["relu", "tanh", "selu"]
    assert list(forward.get_xdata()) == [1.414, 1.59]
    assert list(forward.get_ydata()) == [0, 1]
    assert list(torch.get_ydata()) == [1, 2]
    assert forward.get_marker() != torch.get_marker()
    assert reference.get_xdata()[0] == 1.0
    low, high = ax.get_ylim()
    assert low > high  # the first name stands at the top
    assert render(fig)


def test_a_log_axis_on_request():
    _, ax = figure()
    draw_named_values(ax, SERIES, title="Gains", xlabel="gain", log=True)
    assert ax.get_xscale() == "log"


@pytest.mark.parametrize(
    ("series", "log"),
    [({}, False), ({"a": {}}, False), ({"a": {"b": math.nan}}, False), ({"a": {"b": 0.0}}, True)],
)
def test_what_cannot_be_drawn_is_refused(series, log):
    _, ax = figure()
    with pytest.raises(ValueError, match="must"):
        draw_named_values(ax, series, title="t", xlabel="x", log=log)

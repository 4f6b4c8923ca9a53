"""The pictures of lesson 01 put the right numbers on the axes."""

import math
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
import torch

from d2lstab.plots import (
    draw_compared_signals,
    draw_formats,
    draw_histories,
    draw_log_norms,
    draw_signals,
    draw_singular_values,
    figure,
)
from d2lstab.plots.style import STYLE, render


def signals(forward, backward, kind="Linear"):
    layers = [
        SimpleNamespace(name=f"{i}", kind=kind, forward_second_moment=f, backward_second_moment=b)
        for i, (f, b) in enumerate(zip(forward, backward, strict=True))
    ]
    layers.append(SimpleNamespace(kind="ReLU", forward_second_moment=7, backward_second_moment=7))
    return SimpleNamespace(layers=tuple(layers))


@pytest.fixture
def ax():
    with mpl.rc_context(STYLE):
        fig, axes = figure()
        yield axes
    assert axes.get_title(loc="left")
    assert axes.get_xlabel()
    render(fig)  # any warning is an error here


def drawn(ax):
    return {str(line.get_label()): line for line in ax.get_lines()}


def test_signals_of_the_chosen_layers(ax):
    found = signals([1.0, 2.0], [1e-9, 1e-3])
    draw_signals(ax, found, kinds=("Linear",), predicted_forward=[1.0, 3.0], title="found")
    lines = drawn(ax)
    assert lines["forward"].get_xydata().tolist() == [[1, 1.0], [2, 2.0]]
    assert lines["backward"].get_ydata().tolist() == [1e-9, 1e-3]
    assert lines["theory"].get_ydata().tolist() == [1.0, 3.0]
    assert lines["theory"].get_color() == "black"
    assert lines["theory"].get_zorder() < lines["forward"].get_zorder()
    assert (ax.get_yscale(), ax.get_title(loc="left")) == ("log", "found")


def test_all_layers_unless_told(ax):
    draw_signals(ax, signals([1.0], [2.0]))
    assert drawn(ax)["forward"].get_ydata().tolist() == [1, 7]


def test_signals_that_broke_are_marked(ax):
    draw_signals(ax, signals([1.0, math.inf], [math.nan, 0.0]), kinds=["Linear"])
    assert {"_inf", "_NaN", "_0"} <= set(drawn(ax))


def test_compared_signals(ax):
    networks = {"relu": signals([1.0, 2.0], [3.0, 4.0]), "tanh": signals([5.0, 6.0], [7.0, 8.0])}
    draw_compared_signals(ax, networks, kinds=["Linear"], predicted={"tanh": [7.5, 8.5]})
    lines = drawn(ax)
    assert lines["relu"].get_ydata().tolist() == [3, 4]
    assert lines["tanh"].get_ydata().tolist() == [7, 8]
    assert lines["theory"].get_ydata().tolist() == [7.5, 8.5]


def test_compared_signals_going_forward(ax):
    draw_compared_signals(ax, {"a": signals([1.0], [3.0])}, which="forward", kinds=["Linear"])
    assert drawn(ax)["a"].get_ydata().tolist() == [1]


def test_log_norms_with_the_law(ax):
    trials = torch.tensor([[0.0, 2.0], [1.0, 4.0]], dtype=torch.float64)
    draw_log_norms(ax, trials, [0.5, 1.0], [0.25, 1.0])
    lines = drawn(ax)
    assert lines["mean of 2"].get_ydata().tolist() == [0.5, 3.0]
    assert lines["single products"].get_ydata().tolist() == [0, 2]
    assert lines["theory"].get_xydata().tolist() == [[1, 0.5], [2, 1.0]]
    (band,) = ax.collections
    corners = {tuple(row) for row in band.get_paths()[0].vertices.tolist()}
    assert corners == {(1, -0.5), (1, 1.5), (2, -1), (2, 3)}


def test_the_law_at_the_last_depth_goes_straight_to_zero(ax):
    draw_log_norms(ax, torch.zeros(3, 4), 2.0, 8.0)
    assert drawn(ax)["theory"].get_ydata().tolist() == [0.5, 1, 1.5, 2]


def test_at_most_forty_products_are_drawn_and_all_are_averaged(ax):
    trials = torch.cat([torch.zeros(50, 3), torch.ones(50, 3)])
    draw_log_norms(ax, trials)
    assert len(ax.get_lines()) == 41
    assert drawn(ax)["mean of 100"].get_ydata().tolist() == [0.5] * 3


def test_log_norms_say_what_a_trial_is(ax):
    draw_log_norms(ax, torch.zeros(3, 4), runs="networks")
    assert "single networks" in drawn(ax)
    assert ax.get_xlabel() == "depth (layers)"


def test_singular_values_are_counted_and_zeros_named(ax):
    values = {"one": torch.tensor([1.0, 1.0, 1e-6, 0.0])}
    draw_singular_values(ax, values, predicted={"edge": 2.0}, bins=10)
    filled, outline = ax.patches
    assert filled.get_data().values.sum() == outline.get_data().values.sum() == 3
    assert outline.get_label() == "one\n(1 of 4 are 0)"
    edges = outline.get_data().edges
    assert edges[0] < 1e-6 < 2 < edges[-1]
    assert list(drawn(ax)["edge"].get_xdata()) == [2.0, 2.0]


def history(**known):
    fields = dict.fromkeys(["train_loss", "validation_loss", "validation_accuracy"])
    known = {name: torch.tensor(values) for name, values in known.items()}
    return SimpleNamespace(**(fields | known))


def test_losses_are_drawn_at_each_update(ax):
    runs = {"a": history(losses=[3.0, 2.0, 1.0]), "b": history(losses=[3.0, math.nan])}
    draw_histories(ax, runs, levels={"ln 10": math.log(10)})
    lines = drawn(ax)
    assert lines["a"].get_xydata().tolist() == [[0, 3], [1, 2], [2, 1]]
    assert lines["_NaN"].get_xdata().tolist() == [1]
    assert lines["ln 10"].get_ydata().tolist() == [math.log(10)] * 2


def test_accuracies_are_drawn_where_they_were_measured(ax):
    run = history(validation_accuracy=[0.1, 0.9], evaluated_at=[0, 50])
    draw_histories(ax, {"a": run}, "validation_accuracy")
    assert drawn(ax)["a"].get_xydata().tolist() == pytest.approx(np.array([[0, 0.1], [50, 0.9]]))
    assert ax.get_ylim() == (-0.03, 1.03)


def test_formats_are_bars_from_the_smallest_to_the_largest(ax):
    half = SimpleNamespace(largest=65504.0, smallest_normal=2**-14, smallest_subnormal=2**-24)
    draw_formats(ax, {"float16": half}, span=(1e-6, 1e3), marked={"1.5^30": 1.5**30})
    assert drawn(ax)["float16"].get_xdata().tolist() == [2**-14, 65504.0]
    assert [2**-24, 2**-14] in [np.asarray(line.get_xdata()).tolist() for line in ax.get_lines()]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["float16"]
    assert ax.get_xscale() == "log"


GOOD = {"a": signals([1.0], [1.0])}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda ax: draw_signals(ax, GOOD["a"], kinds=["Conv2d"]), "kinds must name .* Linear"),
        (lambda ax: draw_signals(ax, GOOD["a"], predicted_forward=[1]), "got 1 for 2 layers"),
        (lambda ax: draw_compared_signals(ax, {}), "signals must hold the networks"),
        (lambda ax: draw_compared_signals(ax, GOOD, predicted={"b": [1]}), "signals must hold"),
        (lambda ax: draw_compared_signals(ax, GOOD, which="up"), "which must be one of"),
        (lambda ax: draw_log_norms(ax, torch.zeros(3)), r"shape \(trials, depth\), got \(3,\)"),
        (lambda ax: draw_log_norms(ax, torch.zeros(0, 3)), r"got \(0, 3\)"),
        (lambda ax: draw_log_norms(ax, torch.zeros(1, 3), [1, 2]), "got 2 for 3"),
        (lambda ax: draw_log_norms(ax, torch.zeros(1, 1), 1, -1), "at least 0 at every depth"),
        (lambda ax: draw_log_norms(ax, torch.zeros(1, 1), 1, math.nan), "at least 0 at every"),
        (lambda ax: draw_log_norms(ax, torch.zeros(1, 1), None, 1), "must come with a mean"),
        (lambda ax: draw_singular_values(ax, {}), "values must be singular values"),
        (lambda ax: draw_singular_values(ax, {"a": [0.0]}), "values must be singular values"),
        (lambda ax: draw_singular_values(ax, {"a": [1.0, -1.0]}), "values must be"),
        (lambda ax: draw_singular_values(ax, {"a": [1]}, predicted={"b": 0}), "positive numbers"),
        (lambda ax: draw_singular_values(ax, {"a": [1]}, bins=0), "bins must be a positive"),
        (lambda ax: draw_histories(ax, {}), "histories must hold at least one run"),
        (lambda ax: draw_histories(ax, {"a": history()}, "train_loss"), "nothing in 'a'"),
        (lambda ax: draw_histories(ax, {"a": history()}, "speed"), "what must be one of"),
        (lambda ax: draw_formats(ax, {}), "formats must hold at least one"),
        (lambda ax: draw_formats(ax, GOOD, span=(0, 1)), "must be positive numbers"),
        (lambda ax: draw_formats(ax, GOOD, marked={"x": math.nan}), "must be positive numbers"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(figure()[1])

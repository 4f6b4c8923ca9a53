"""Measured curves over predicted ones: the commonest picture of the course."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from d2lstab.arguments import choice
from d2lstab.plots.marks import label_ends, mark_nonfinite
from d2lstab.plots.style import MARKERS, draw_theory

__all__ = ["draw_curves"]

Curve = tuple[Any, Any]


def draw_curves(
    ax: Axes,
    measured: Mapping[str, Curve],
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    predicted: Mapping[str, Curve] | None = None,
    band: tuple[Any, Any, Any] | None = None,
    log: str = "",
    markers: bool | None = None,
    joined: bool = True,
) -> None:
    """Draw measured curves, each labeled at its end, over predictions in black.

    Args:
        ax: the axes to draw on.
        measured: label -> (x, y), arrays of one length; several points each.
        title: the finding, in words.
        xlabel, ylabel: quantity and unit.
        predicted: label -> (x, y), drawn in black under the measurements.
        band: (x, low, high), the spread that the theory allows, in gray.
        log: "x", "y" or "xy" for logarithmic axes.
        markers: whether points are marked; unless given, where a curve has 40 or fewer.
        joined: whether a measured curve's points are joined; without, the prediction's
            line stays visible between them.

    NaN, infinity and, on a log axis, zeros are marked, never a silent gap. More than
    five curves get a legend instead of labels at their ends.

    Raises:
        ValueError: no curve at all, x and y of different length, or an unknown `log`.
    """
    choice(log, "log", ("", "x", "y", "xy"), "name the logarithmic axes")
    predictions = {name: _pair(name, curve) for name, curve in (predicted or {}).items()}
    curves = {name: _pair(name, curve) for name, curve in measured.items()}
    if not curves and not predictions:
        raise ValueError("measured must hold at least one curve, got none: pass label -> (x, y)")
    if "x" in log:
        ax.set_xscale("log")
    if "y" in log:
        ax.set_yscale("log")
    if band is not None:
        ax.fill_between(*band, color="0.85", linewidth=0)
    for i, (name, (x, y)) in enumerate(predictions.items()):
        draw_theory(ax, x, y, name, linestyle=("-", "--", "-.", ":")[i % 4])
    for i, (name, (x, y)) in enumerate(curves.items()):
        marked = len(x) <= 40 if markers is None else markers
        looks: dict[str, Any] = {
            "marker": MARKERS[i % len(MARKERS)] if marked or not joined else None
        }
        looks |= {} if joined else {"linestyle": "none"}
        line = ax.plot(x, y, label=name, **looks)[0]
        mark_nonfinite(ax, x, y, color=str(line.get_color()))
    everywhere = [x for x, _ in (*curves.values(), *predictions.values())]
    if "x" not in log and all(np.array_equal(x, np.round(x)) for x in everywhere):
        # There is no layer 2.5; and no more labels than fit beside each other.
        ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    ax.set_title(title)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    if len(curves) + len(predictions) <= 5:
        label_ends(ax)
    else:
        ax.legend(ncols=2)


def _pair(name: str, curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    x, y = (np.asarray(values, dtype=float).ravel() for values in curve)
    if x.shape != y.shape or x.size == 0:
        raise ValueError(
            f"the curve {name!r} must have as many x as y and at least one, "
            f"got {x.size} and {y.size}: pass (x, y)"
        )
    return x, y

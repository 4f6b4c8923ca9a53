"""The plane of weight and bias variance, divided by the edge of chaos."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from d2lstab.plots.style import COLORS, MARKERS, STYLE, draw_theory

__all__ = ["draw_phase_plane"]

_LINES = ("-", "--", "-.", ":")


def draw_phase_plane(
    ax: Axes,
    lines: Mapping[str, tuple[Any, Any]],
    *,
    measured: Mapping[str, tuple[Any, Any]] | None = None,
    point: tuple[float, float] | None = None,
    title: str = "The edge of chaos",
) -> None:
    """Draw critical lines, with measured networks as dots; one line alone divides the plane.

    Args:
        ax: the axes to draw on.
        lines: activation -> (sw2, sb2), the predicted critical line, in black.
        measured: activation -> (sw2, sb2), where measured networks are critical.
        point: (sw2, sb2) of a network that is looked at, drawn as a ring.
        title: the finding, in words.

    sw2 is fan_in times the variance of a weight, sb2 the variance of a bias. The names
    of the two phases are written on either side of a single line; set the limits before.

    Raises:
        ValueError: no line, a value that is not finite, or x and y of different length.
    """
    if not lines:
        raise ValueError("lines must hold at least one line, got none: pass name -> (sw2, sb2)")
    predicted = {name: _pair(name, line) for name, line in lines.items()}
    for i, (name, (sw2, sb2)) in enumerate(predicted.items()):
        draw_theory(ax, sw2, sb2, label=f"_{name}", linestyle=_LINES[i % 4])
        if name not in (measured or {}):  # the legend names the others
            _name(ax, name, sw2[-1], sb2[-1])
    for i, (name, dots) in enumerate((measured or {}).items()):
        looks: dict[str, Any] = {"color": COLORS[i % 6], "marker": MARKERS[i % 6]}
        ax.plot(*_pair(name, dots), linestyle="none", label=f"{name}, measured", **looks)
    if len(predicted) == 1:
        _divide(ax, *next(iter(predicted.values())))
    if point is not None:
        ring: dict[str, Any] = {"markersize": 11, "markeredgewidth": 2.4, "fillstyle": "none"}
        ax.plot(*point, "o", color=COLORS[1], zorder=4, clip_on=False, **ring)
    ax.set_title(title)
    ax.set_xlabel("weight variance × width  $\\sigma_w^2$")
    ax.set_ylabel("bias variance  $\\sigma_b^2$")
    if measured:
        ax.legend(loc="best")


def _name(ax: Axes, name: str, x: float, y: float) -> None:
    size = float(STYLE["legend.fontsize"])
    looks: dict[str, Any] = {"ha": "center", "fontsize": size, "annotation_clip": False}
    ax.annotate(name, xy=(x, y), xytext=(0, 4), textcoords="offset points", **looks)


def _divide(ax: Axes, sw2: np.ndarray, sb2: np.ndarray) -> None:
    left, right = ax.get_xlim()
    ax.fill_betweenx(sb2, sw2, max(right, sw2.max()), color="0.92", linewidth=0, zorder=0)
    for x, side, words in (
        (0.03, "left", "gradients\nvanish,\ninputs\nmerge"),
        (0.97, "right", "gradients\nexplode,\ninputs\npart"),
    ):
        ax.text(x, 0.95, words, transform=ax.transAxes, ha=side, va="top", color="0.25")
    ax.set_xlim(left, right)


def _pair(name: str, line: tuple[Any, Any]) -> tuple[np.ndarray, np.ndarray]:
    x, y = (np.asarray(values, dtype=float).ravel() for values in line)
    if x.shape != y.shape or x.size == 0 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError(
            f"the line {name!r} must have as many finite sw2 as sb2 and at least one, "
            f"got {x.size} and {y.size}: pass (sw2, sb2)"
        )
    return x, y

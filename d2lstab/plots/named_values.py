"""One value for each of several names: a picture of dots in rows."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from d2lstab.plots.style import COLORS, MARKERS

__all__ = ["draw_named_values"]


def draw_named_values(
    ax: Axes,
    series: Mapping[str, Mapping[str, float]],
    *,
    title: str,
    xlabel: str,
    reference: float | None = None,
    log: bool = False,
) -> None:
    """Draw a row for each name, and in it one dot for each series that knows the name.

    Args:
        ax: the axes to draw on.
        series: label -> (name -> value); a name that a series lacks gets no dot from it.
        title: the finding, in words.
        xlabel: quantity and unit.
        reference: a value to compare with, a black line.
        log: whether the axis is logarithmic.

    Names stand from top to bottom in the order in which they first occur.

    Raises:
        ValueError: no value at all, one that is not finite, or on a log axis not positive.
    """
    names = list(dict.fromkeys(name for values in series.values() for name in values))
    if not names:
        raise ValueError("series must hold at least one value, got none: pass label -> values")
    if log:
        ax.set_xscale("log")
    for i, (label, values) in enumerate(series.items()):
        x = np.array(list(values.values()), dtype=float)
        if not np.isfinite(x).all() or (log and not (x > 0).all()):
            raise ValueError(
                f"the values of {label!r} must be finite, and positive on a log axis, "
                f"got {values}: leave the others out"
            )
        rows = [names.index(name) for name in values]
        ax.plot(
            x,
            rows,
            linestyle="none",
            marker=MARKERS[i % 6],
            color=COLORS[i % 6],
            markersize=max(9 - 2.2 * i, 4),  # one that lies on another still shows it
            label=label,
        )
    if reference is not None:
        ax.axvline(reference, color="black", linewidth=1.2, zorder=1.5)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_title(title)
    ax.set_xlabel(xlabel)
    ax.legend(loc="best")

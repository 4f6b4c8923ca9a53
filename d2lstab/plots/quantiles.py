"""How the entries of something are spread, layer by layer: a band and its middle."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from d2lstab.plots.marks import label_ends, mark_nonfinite
from d2lstab.plots.style import COLORS

__all__ = ["draw_quantiles"]


def draw_quantiles(
    ax: Axes,
    quantiles: Mapping[str, Any],
    *,
    span: tuple[float, float] | None = None,
    limits: Mapping[str, float] | None = None,
    title: str,
    ylabel: str = "absolute gradient",
) -> None:
    """Draw quantiles by layer, on a log axis: the middle level as a line, the others as bands.

    Args:
        ax: the axes to draw on.
        quantiles: label -> array of shape (layers, levels), an odd number of rising levels,
            such as the `gradient_quantiles` of `measure.signals`.
        span: (smallest, largest) of what is wished for, in gray.
        limits: label -> a value that a number format ends at, a black line.
        title: the finding, in words.
        ylabel: quantity and unit.

    Layers are counted from 1. A middle that is 0, infinite or NaN is marked; a band ends
    where its own quantile is not positive.

    Raises:
        ValueError: nothing to draw, or an array of another shape.
    """
    tables = {name: _table(name, rows) for name, rows in quantiles.items()}
    if not tables:
        raise ValueError("quantiles must hold at least one table, got none: pass label -> rows")
    ax.set_yscale("log")
    if span is not None:
        ax.axhspan(*span, color="0.90", zorder=0.5, linewidth=0)
    for i, (name, table) in enumerate(tables.items()):
        color, middle = COLORS[i % len(COLORS)], table.shape[1] // 2
        layers = np.arange(1, len(table) + 1)
        for level in range(middle):
            low, high = table[:, level], table[:, -1 - level]
            seen = (low > 0) & np.isfinite(high)
            ax.fill_between(layers, low, high, where=seen, color=color, alpha=0.16, linewidth=0)
        y = table[:, middle]
        shown = np.where(np.isfinite(y) & (y > 0), y, np.nan)
        ax.plot(layers, shown, color=color, linestyle=("-", "--", "-.")[i % 3], label=name)
        mark_nonfinite(ax, layers, y, color, name)
    left, right = ax.get_xlim()
    for name, value in (limits or {}).items():
        ax.axhline(value, color="black", linewidth=1.2, linestyle=":")
        ax.annotate(name, (left, value), xytext=(3, 3), textcoords="offset points", fontsize=9)
    ax.set_xlim(left, right)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_title(title)
    ax.set_xlabel("layer, from the input to the output")
    ax.set_ylabel(ylabel)
    label_ends(ax)


def _table(name: str, rows: Any) -> np.ndarray:
    table = np.asarray(rows, dtype=float)
    if table.ndim != 2 or table.size == 0 or table.shape[1] % 2 == 0:
        raise ValueError(
            f"the quantiles of {name!r} must have shape (layers, an odd number of levels), "
            f"got {table.shape}: pass [layer.gradient_quantiles for layer in ...]"
        )
    return table

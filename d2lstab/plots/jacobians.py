"""How a network stretches and squeezes the directions of its input."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from d2lstab.arguments import positive_integer
from d2lstab.plots.style import COLORS

__all__ = ["draw_singular_values"]

_LINES = ("-", "--", "-.", ":")


def draw_singular_values(
    ax: Axes,
    values: Mapping[str, Any],
    *,
    predicted: Mapping[str, float] | None = None,
    bins: int = 30,
    title: str = "Singular values of the input-output Jacobian",
) -> None:
    """Draw histograms of singular values, on a log axis, with predictions as black lines.

    Args:
        ax: the axes to draw on.
        values: label -> singular values (dimensionless), in any order and shape.
        predicted: label -> a value that theory names, the largest for example.
        bins: number of bins, common to all.
        title: the finding, in words.

    Values that a log axis cannot show (0, and those that are not finite) are counted in
    the label.

    Raises:
        ValueError: nothing to draw, no positive finite value, a negative value.
    """
    positive_integer(bins, "bins", "pass the number of bars")
    found = {name: np.asarray(v, dtype=float).ravel() for name, v in values.items()}
    shown = {name: v[np.isfinite(v) & (v > 0)] for name, v in found.items()}
    lines = {name: float(v) for name, v in (predicted or {}).items()}
    wrong = [name for name, v in found.items() if (v < 0).any()]
    if wrong or not any(map(len, shown.values())):
        raise ValueError(
            f"values must be singular values, some of them positive, got {wrong or 'none'!r}: "
            "pass label -> what singular_values(model, x) returned"
        )
    if not all(0 < line < np.inf for line in lines.values()):
        raise ValueError(f"predicted must be positive numbers, got {lines}: pass label -> value")
    together = np.concatenate([*shown.values(), list(lines.values())])
    low, high = np.log10(together.min()), np.log10(together.max())
    room = max(0.04 * (high - low), 0.05)
    edges = np.logspace(low - room, high + room, bins + 1)
    for i, (name, v) in enumerate(shown.items()):
        line = _LINES[i % len(_LINES)]
        _draw_histogram(ax, v, edges, _label(name, found[name]), COLORS[i % len(COLORS)], line)
    for i, (name, edge) in enumerate(lines.items()):
        ax.axvline(
            edge, color="black", linestyle=_LINES[i % len(_LINES)], label=name, linewidth=1.4
        )
    ax.set_xscale("log")
    ax.set_title(title)
    ax.set_xlabel("singular value")
    ax.set_ylabel("number of singular values")
    ax.set_ylim(0, 1.18 * ax.get_ylim()[1])
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _draw_histogram(
    ax: Axes, values: np.ndarray, edges: np.ndarray, label: str, color: str, line: str
) -> None:
    counts, _ = np.histogram(values, edges)
    ax.stairs(counts, edges, color=color, fill=True, alpha=0.18)
    ax.stairs(counts, edges, color=color, linestyle=line, linewidth=1.8, label=label)


def _label(name: str, values: np.ndarray) -> str:
    zeros, lost = int((values == 0).sum()), int((~np.isfinite(values)).sum())
    notes = [f"{zeros} of {len(values)} are 0"] if zeros else []
    notes += [f"{lost} of {len(values)} not finite"] if lost else []
    return f"{name}\n({', '.join(notes)})" if notes else name

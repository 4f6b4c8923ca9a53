"""The course of training."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from d2lstab.arguments import choice
from d2lstab.plots.marks import label_ends, mark_nonfinite
from d2lstab.plots.style import COLORS, MARKERS, draw_theory

__all__ = ["draw_histories"]

# field of a History -> axis label; the first two are known at each update, the rest at evaluations
QUANTITIES = {
    "losses": "loss of the batch",
    "gradient_norms": "norm of the gradient",
    "train_loss": "training loss",
    "train_accuracy": "training accuracy",
    "validation_loss": "validation loss",
    "validation_accuracy": "validation accuracy",
}


def draw_histories(
    ax: Axes,
    histories: Mapping[str, Any],
    what: str = "losses",
    *,
    levels: Mapping[str, float] | None = None,
    log: bool = False,
    title: str = "Training",
) -> None:
    """Draw one quantity of several training runs against the number of updates.

    Args:
        ax: the axes to draw on.
        histories: label -> `History`.
        what: losses, gradient_norms, train_loss, train_accuracy, validation_loss or
            validation_accuracy.
        levels: label -> a value that theory names (ln 10 for ten classes), in black.
        log: whether the vertical axis is logarithmic.
        title: the finding, in words.

    NaN and infinity are marked; a run that diverged ends in a mark, not in a gap.

    Raises:
        ValueError: no run, an unknown quantity, or one that a run did not record.
    """
    choice(what, "what", QUANTITIES, "name what the runs recorded")
    if not histories:
        raise ValueError("histories must hold at least one run, got none: pass label -> history")
    curves = {name: _curve(name, history, what) for name, history in histories.items()}
    if log:
        ax.set_yscale("log")
    for name, level in (levels or {}).items():
        draw_theory(ax, [0, max(x[-1] for x, _ in curves.values())], [level, level], label=name)
    for i, (name, (x, y)) in enumerate(curves.items()):
        marker = MARKERS[i % len(MARKERS)] if len(y) <= 40 else None
        width = 1.8 if len(y) <= 200 else 1.1
        ax.plot(x, np.where(np.isfinite(y), y, np.nan), marker=marker, label=name, linewidth=width)
        mark_nonfinite(ax, x, y, COLORS[i % len(COLORS)], name)
    ax.set_title(title)
    ax.set_xlabel("updates")
    ax.set_ylabel(QUANTITIES[what])
    if what.endswith("accuracy"):
        ax.set_ylim(-0.03, 1.03)
    label_ends(ax)


def _curve(name: str, history: Any, what: str) -> tuple[np.ndarray, np.ndarray]:
    values = getattr(history, what)
    if values is None or len(values) == 0:
        raise ValueError(
            f"{what} must be recorded in every run, got nothing in {name!r}: "
            "train it with the data that this is measured on"
        )
    y = np.asarray(values, dtype=float)
    if what in ("losses", "gradient_norms"):
        return np.arange(len(y)), y
    return np.asarray(history.evaluated_at, dtype=float), y

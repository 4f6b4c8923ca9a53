"""What arrives at each layer, going forward and coming back."""

from collections.abc import Collection, Mapping
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from d2lstab.arguments import choice
from d2lstab.plots.marks import label_ends, mark_nonfinite
from d2lstab.plots.style import COLORS, MARKERS, draw_theory

__all__ = ["draw_compared_signals", "draw_signals"]

DIRECTIONS = ("forward", "backward")
QUANTITIES = {
    "forward": "mean square of the output",
    "backward": "mean square of the gradient",
}


class Signals(Protocol):
    """What is drawn here of `measure.signals.Signals`."""

    @property
    def layers(self) -> Collection[Any]:
        """The entries in forward order."""


def draw_signals(
    ax: Axes,
    signals: Signals,
    *,
    kinds: Collection[str] | None = None,
    predicted_forward: Any = None,
    predicted_backward: Any = None,
    title: str = "Signals, layer by layer",
) -> None:
    """Draw the forward and the backward second moment of every layer, on a log axis.

    Args:
        ax: the axes to draw on.
        signals: what `record_signals` returned.
        kinds: only layers of these classes, such as `("Linear",)`; all unless given.
        predicted_forward, predicted_backward: one value for each drawn layer, in black.
        title: the finding, in words.

    Layers are counted from 1. NaN, infinity and 0 are marked, never a silent gap.

    Raises:
        ValueError: no layer is of these kinds, or a prediction has another length.
    """
    predictions = {"forward": predicted_forward, "backward": predicted_backward}
    values = {which: _second_moments(signals, which, kinds) for which in DIRECTIONS}
    ax.set_yscale("log")
    for which, y in values.items():
        _draw_prediction(ax, predictions[which], len(y))
    for i, (which, y) in enumerate(values.items()):
        _draw_measurement(ax, y, which, i)
    _finish(ax, title, "mean square")


def draw_compared_signals(
    ax: Axes,
    signals: Mapping[str, Signals],
    *,
    which: str = "backward",
    kinds: Collection[str] | None = None,
    predicted: Mapping[str, Any] | None = None,
    title: str = "Signals, layer by layer",
) -> None:
    """Draw one direction's second moment of several networks over each other.

    Args:
        ax: the axes to draw on.
        signals: label -> what `record_signals` returned.
        which: "forward" or "backward".
        kinds: only layers of these classes; all unless given.
        predicted: label -> one value for each drawn layer, in black.
        title: the finding, in words.

    Raises:
        ValueError: no network, no layer of these kinds, an unknown direction, or a
            prediction of another length or for a network that is not there.
    """
    choice(which, "which", DIRECTIONS, "name the direction to draw")
    unknown = sorted(set(predicted or {}) - set(signals))
    if not signals or unknown:
        raise ValueError(
            "signals must hold the networks to draw and those that are predicted, got "
            f"{list(signals)!r} and predictions for {unknown!r}: pass label -> signals"
        )
    values = {name: _second_moments(found, which, kinds) for name, found in signals.items()}
    ax.set_yscale("log")
    for name, y in values.items():
        _draw_prediction(ax, (predicted or {}).get(name), len(y))
    for i, (name, y) in enumerate(values.items()):
        _draw_measurement(ax, y, name, i)
    _finish(ax, title, QUANTITIES[which])


def _second_moments(signals: Signals, which: str, kinds: Collection[str] | None) -> np.ndarray:
    """The second moments of the chosen layers."""
    chosen = [layer for layer in signals.layers if kinds is None or layer.kind in kinds]
    values = [getattr(layer, f"{which}_second_moment") for layer in chosen]
    if not values:
        there = sorted({layer.kind for layer in signals.layers})
        raise ValueError(
            f"kinds must name classes of layers that the signals hold, got {kinds!r}: "
            f"there are {', '.join(there) or 'no layers'}"
        )
    return np.asarray(values, dtype=float)


def _draw_prediction(ax: Axes, predicted: Any, count: int) -> None:
    if predicted is None:
        return
    y = np.asarray(predicted, dtype=float).ravel()
    if len(y) != count:
        raise ValueError(
            f"a prediction must have one value for each drawn layer, got {len(y)} for "
            f"{count} layers: choose the layers with kinds=..."
        )
    draw_theory(ax, np.arange(1, count + 1), y, label="_theory" if ax.get_lines() else "theory")


def _draw_measurement(ax: Axes, y: np.ndarray, label: str, index: int) -> None:
    layers = np.arange(1, len(y) + 1)
    color, marker = COLORS[index % len(COLORS)], MARKERS[index % len(MARKERS)]
    shown = np.where(np.isfinite(y) & (y > 0), y, np.nan)
    ax.plot(layers, shown, marker=marker if len(y) <= 60 else None, label=label)
    mark_nonfinite(ax, layers, y, color, label)


def _finish(ax: Axes, title: str, quantity: str) -> None:
    ax.set_title(title)
    ax.set_xlabel("layer, from the input to the output")
    ax.set_ylabel(quantity)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    label_ends(ax)

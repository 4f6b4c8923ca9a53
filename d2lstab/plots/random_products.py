"""Products of random matrices: how far their norms wander from the law."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from d2lstab.plots.style import COLORS, draw_theory

__all__ = ["draw_log_norms"]

SHOWN = 40  # trajectories: more become a blot


def draw_log_norms(
    ax: Axes,
    log_norms: Any,
    predicted_mean: Any = None,
    predicted_variance: Any = None,
    *,
    runs: str = "products",
    title: str = "The log-norm of a random product is a random walk with drift",
) -> None:
    """Draw ln(norm out / norm in) against depth, with the law's mean and its band.

    Args:
        ax: the axes to draw on.
        log_norms: shape (trials, depth), as `measure.random_products.log_norms` gives.
        predicted_mean, predicted_variance: of the law, at each depth; one number is
            the value at the last depth, from where the line goes straight to 0.
        runs: what a trial is, in the legend and on the axis: products or networks.
        title: the finding, in words.

    The first 40 trials are thin lines, their mean over all trials is the thick one.
    The band is two standard deviations of a single trial to either side.

    Raises:
        ValueError: not a matrix of at least one trial and one depth, a prediction of
            another length, a negative or NaN variance, or a band without a mean.
    """
    trials = np.asarray(log_norms, dtype=float)
    if trials.ndim != 2 or 0 in trials.shape:
        raise ValueError(
            f"log_norms must have shape (trials, depth), got {trials.shape}: "
            "pass what log_norms(n, depth, trials, ...) returned"
        )
    depth = np.arange(1, trials.shape[1] + 1)
    if predicted_mean is not None:
        _draw_law(ax, depth, predicted_mean, predicted_variance)
    elif predicted_variance is not None:
        raise ValueError("predicted_variance must come with a mean, got none: pass both")
    for i, trial in enumerate(trials[:SHOWN]):
        label = f"single {runs}" if i == 0 else "_"
        ax.plot(depth, trial, color=COLORS[4], linewidth=0.7, linestyle="-", alpha=0.6, label=label)
    mean = f"mean of {len(trials)}"
    ax.plot(depth, trials.mean(0), color=COLORS[1], linestyle="--", linewidth=2.2, label=mean)
    ax.set_title(title)
    ax.set_xlabel("depth (number of factors)" if runs == "products" else "depth (layers)")
    ax.set_ylabel("ln(norm out / norm in)")
    legend = ax.legend(loc="best")
    for line in legend.get_lines():
        line.set_linewidth(max(line.get_linewidth(), 1.2))


def _draw_law(ax: Axes, depth: np.ndarray, mean: Any, variance: Any) -> None:
    center = _by_depth(mean, depth, "predicted_mean")
    if variance is not None:
        spread = _by_depth(variance, depth, "predicted_variance")
        if not (spread >= 0).all():
            raise ValueError(
                "predicted_variance must be a number of at least 0 at every depth, "
                f"got {spread.min()}: pass a variance"
            )
        reach = 2 * np.sqrt(spread)
        low, high, name = center - reach, center + reach, "theory, two standard deviations"
        ax.fill_between(depth, low, high, color="0.87", linewidth=0, zorder=0.5, label=name)
    draw_theory(ax, depth, center, linewidth=1.6, zorder=3)


def _by_depth(values: Any, depth: np.ndarray, name: str) -> np.ndarray:
    found = np.asarray(values, dtype=float).ravel()
    if len(found) == 1:
        return np.asarray(found[0] * depth / depth[-1])
    if len(found) != len(depth):
        raise ValueError(
            f"{name} must be one number or one for each depth, got {len(found)} for "
            f"{len(depth)}: pass the law at the depths that were measured"
        )
    return found

"""Bursts: where a quiet sequence becomes loud again."""

import numpy as np
import torch
from torch import Tensor

from d2lstab.arguments import positive_integer, positive_number

__all__ = ["burst_starts"]


def burst_starts(deviations: Tensor, threshold: float = 0.1, quiet: int = 60) -> list[int]:
    """The steps at which a deviation becomes large after a quiet time.

        |d_t| > threshold    and    |d_s| <= threshold for the `quiet` steps s before t

    Args:
        deviations: shape (steps,), in any unit; infinity counts as large.
        threshold: what is large, in the same unit.
        quiet: steps of quiet that end one burst, so that a swing through 0 does not.

    Returns:
        The indices t in order; empty where nothing bursts. A sequence that begins loud has
        no start before it has been quiet.

    Raises:
        TypeError: `deviations` is no tensor of numbers.
        ValueError: it is not one-dimensional or holds NaN; a threshold or a time of quiet
            that is not positive.

    >>> burst_starts(torch.tensor([5.0, 0.0, 0.0, -3.0, 0.0, 3.0]), threshold=1.0, quiet=2)
    [3]
    """
    if not isinstance(deviations, Tensor) or deviations.dtype == torch.bool:
        raise TypeError(
            f"deviations must be a tensor of numbers, got {type(deviations).__name__}: "
            "pass the deviation at each step"
        )
    if deviations.dim() != 1 or bool(deviations.isnan().any()):
        raise ValueError(
            f"deviations must be of shape (steps,) without NaN, got {tuple(deviations.shape)}: "
            "pass one path, up to where it diverged"
        )
    limit = positive_number(threshold, "threshold", "pass the size that counts as large")
    needed = positive_integer(quiet, "quiet", "pass a number of steps")
    loud = np.flatnonzero(deviations.detach().abs().cpu().numpy() > limit)
    # A loud step starts a burst where at least `quiet` steps lie between it and the last one.
    return [int(t) for t, gap in zip(loud, np.diff(loud, prepend=-1), strict=True) if gap > needed]

"""Positively homogeneous activations: a x for x > 0 and b x for x < 0."""

import numpy as np
import torch

from d2lstab.elementwise import Activation, activation
from d2lstab.theory.gaussian_integrals import value_and_slope

__all__ = ["homogeneous_slopes"]


def homogeneous_slopes(phi: Activation) -> tuple[float, float] | None:
    """The slopes (above 0, below 0) of a positively homogeneous activation, or None.

        phi(c x) = c phi(x) for every c > 0

    linear, relu and leaky_relu are; a function is recognized by its values between 1e-3 and 100
    on both sides, which agree to 1e-12. A function that vanishes everywhere is not counted.

    Raises:
        TypeError, ValueError: phi is neither a known name nor a differentiable element-wise
            function.

    Source: He et al. (2015), section 2.2, uses the two slopes.

    >>> homogeneous_slopes("relu")
    (1.0, 0.0)
    """
    points = torch.tensor([1e-3, 0.1, 0.5, 1.0, 3.0, 100.0], dtype=torch.float64)
    function = activation(phi)
    if not isinstance(phi, str):  # a function may be none of a tensor's entries
        value_and_slope(phi, np.stack([points.numpy(), -points.numpy()]))
    values = torch.stack([function(points.clone()), -function(-points)])
    slopes = (values / points).detach() + 0.0  # + 0.0 turns -0.0 into 0.0
    largest = slopes.abs().amax()
    if not (slopes - slopes[:, :1]).abs().amax() <= 1e-12 * largest or not largest > 0:
        return None
    return float(slopes[0, 3]), float(slopes[1, 3])

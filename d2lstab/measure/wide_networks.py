"""Wide random networks at initialization: the fate of two inputs and of a small perturbation."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from d2lstab.arguments import (
    non_negative_number,
    number_between,
    positive_integer,
    positive_number,
    random_generator,
)
from d2lstab.elementwise import Activation, activation

__all__ = ["WideNetworks", "wide_networks"]

_LARGEST_BLOCK = 2**14  # units of all networks that are simulated at once: they stay in the cache


@dataclass(frozen=True, slots=True, eq=False)
class WideNetworks:
    """Independent random networks, layer by layer; all tensors are float64."""

    lengths: Tensor  # (trials, depth): mean square of the first input's pre-activations
    correlations: Tensor  # (trials, depth): cosine between the two inputs' pre-activations
    factors: Tensor  # (trials, depth - 1): a small perturbation's squared norm, layer to layer
    width: int  # units in each layer


def wide_networks(
    phi: Activation,
    sw2: float,
    sb2: float = 0.0,
    *,
    width: int,
    depth: int,
    trials: int,
    generator: torch.Generator,
    length: float = 1.0,
    correlation: float = 0.0,
) -> WideNetworks:
    """Send two inputs, and a perturbation of the first, through networks of random layers.

        z_(l+1) = W_(l+1) phi(z_l) + b_(l+1),   t_(l+1) = W_(l+1) (phi'(z_l) t_l)

    with independent W_ij ~ N(0, sw2 / width) and b_i ~ N(0, sb2), new in each layer and trial.

    No matrix is drawn: each row of W applied to fixed vectors is jointly Gaussian with their
    Gram matrix, whatever happened in the layers below. So a layer costs `width`, not width**2,
    and the result is distributed exactly as that of full matrices.

    Args:
        phi: the activation, a name or a differentiable element-wise function.
        sw2: width times the variance of a weight.
        sb2: variance of a bias.
        width, depth, trials: units of every layer, number of layers, independent networks.
        generator: draws everything, on its device; the normals are drawn in float32.
        length: variance of the first layer's pre-activations.
        correlation: of the two inputs' pre-activations there, between -1 and 1.

    Returns:
        `WideNetworks`. The relative scatter of a mean square over one layer is
        sqrt(2 / width); signals that vanish or explode beyond float64 are data (0, inf, NaN).

    Raises:
        TypeError, ValueError: an argument of the wrong type or outside its range, a name that
            is not an activation's.

    Source: Poole et al. (2016) and Schoenholz et al. (2017) describe such networks; Cohen and
        Newman (1984) for drawing the layer's effect instead of its matrix.

    >>> g = torch.Generator().manual_seed(0)
    >>> found = wide_networks("relu", 2.0, width=1000, depth=3, trials=5, generator=g)
    >>> found.lengths.shape, found.factors.shape
    (torch.Size([5, 3]), torch.Size([5, 2]))
    """
    function = activation(phi)
    sw2 = non_negative_number(sw2, "sw2", "pass width times the variance of a weight")
    sb2 = non_negative_number(sb2, "sb2", "pass the variance of a bias")
    positive_integer(width, "width", "pass the number of units of a layer")
    positive_integer(depth, "depth", "pass the number of layers")
    positive_integer(trials, "trials", "pass the number of independent networks")
    random_generator(generator)
    length = positive_number(length, "length", "pass the first pre-activations' variance")
    c = number_between(correlation, "correlation", -1, 1, "pass a cosine")
    # Rows: first input, second input, perturbation. z = R' normals has covariance R' R.
    first = [[1.0, c, 0.0], [0.0, math.sqrt(1 - c * c), 0.0], [0.0, 0.0, 1.0]]
    root = torch.tensor(first, dtype=torch.float64, device=generator.device)
    root[:, :2] *= math.sqrt(length)
    most = max(1, _LARGEST_BLOCK // width)
    parts = [
        _together(function, sw2, sb2, root, min(most, trials - start), width, depth, generator)
        for start in range(0, trials, most)
    ]
    lengths, correlations, factors = (torch.cat(kind) for kind in zip(*parts, strict=True))
    return WideNetworks(lengths, correlations, factors[:, 1:], int(width))


def _together(
    function: Callable[[Tensor], Tensor],
    sw2: float,
    sb2: float,
    root: Tensor,
    trials: int,
    width: int,
    depth: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Lengths, correlations and factors of networks that are simulated at the same time."""
    found = root.new_empty(3, trials, depth)
    drawn = root.new_empty((trials, 3, width), dtype=torch.float32)
    for layer in range(depth):
        z = root.mT @ drawn.normal_(generator=generator).double()
        a, b, t = z.unbind(1)
        found[0, :, layer] = a.square().mean(1)
        found[1, :, layer] = torch.cosine_similarity(a, b, dim=1, eps=0.0)
        found[2, :, layer] = t.square().mean(1)
        t = t / found[2, :, layer, None].sqrt()
        root = _next_root(function, a, b, t, sw2, sb2)
    lengths, correlations, factors = found
    return lengths, correlations, factors


def _next_root(
    function: Callable[[Tensor], Tensor], a: Tensor, b: Tensor, t: Tensor, sw2: float, sb2: float
) -> Tensor:
    """R of shape (trials, 3, 3) such that normals @ R are the next layer's pre-activations."""
    with torch.enable_grad():
        leaf = a.detach().requires_grad_()
        value = function(leaf)
        (slope,) = torch.autograd.grad(value.sum(), leaf)
    bias = a.new_tensor([math.sqrt(sb2), math.sqrt(sb2), 0.0]).expand(len(a), 3)
    rows = a.new_empty(len(a), 3, a.shape[1] + 1)
    torch.stack([value.detach(), function(b), slope * t], 1, out=rows[:, :, :-1])
    rows[:, :, :-1] *= math.sqrt(sw2 / a.shape[1])
    rows[:, :, -1] = bias
    # R' R is the Gram matrix, and QR does not square its condition number as Cholesky would
    return torch.linalg.qr(rows.mT, mode="r").R

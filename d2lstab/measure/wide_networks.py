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
    # Columns: first input, second input, perturbation. z = normals @ R has covariance R' R.
    first = [[1.0, c, 0.0], [0.0, math.sqrt(1 - c * c), 0.0], [0.0, 0.0, 1.0]]
    root = torch.tensor(first, dtype=torch.float64, device=generator.device)
    root[:, :2] *= math.sqrt(length)
    lengths, correlations, factors = [], [], []
    for _ in range(depth):
        normals = torch.randn(
            trials, width, 3, generator=generator, device=generator.device, dtype=torch.float32
        )
        a, b, t = (normals.double() @ root).unbind(-1)
        lengths.append(a.square().mean(1))
        correlations.append(torch.cosine_similarity(a, b, dim=1, eps=0.0))
        factors.append(t.square().mean(1))
        root = _next_root(function, a, b, t / factors[-1].sqrt()[:, None], sw2, sb2)
    return WideNetworks(
        lengths=torch.stack(lengths, 1),
        correlations=torch.stack(correlations, 1),
        factors=torch.stack(factors, 1)[:, 1:],
        width=int(width),
    )


def _next_root(
    function: Callable[[Tensor], Tensor], a: Tensor, b: Tensor, t: Tensor, sw2: float, sb2: float
) -> Tensor:
    """R of shape (trials, 3, 3) such that normals @ R are the next layer's pre-activations."""
    with torch.enable_grad():
        leaf = a.detach().requires_grad_()
        value = function(leaf)
        (slope,) = torch.autograd.grad(value.sum(), leaf)
    columns = torch.stack([value.detach(), function(b), slope * t], -1)
    columns = columns * math.sqrt(sw2 / columns.shape[1])
    bias = columns.new_tensor([math.sqrt(sb2), math.sqrt(sb2), 0.0]).expand(len(columns), 1, 3)
    # R' R is the Gram matrix, and QR does not square its condition number as Cholesky would
    return torch.linalg.qr(torch.cat([columns, bias], 1), mode="r").R

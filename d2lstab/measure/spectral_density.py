"""How the eigenvalues of an operator are distributed, by stochastic Lanczos quadrature."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from d2lstab.arguments import positive_integer, random_generator
from d2lstab.measure.krylov import Subspace
from d2lstab.measure.symmetric_operator import symmetric_operator

__all__ = ["SpectralDensity", "spectral_density"]


@dataclass(frozen=True, slots=True, eq=False)
class SpectralDensity:
    """A discrete distribution that stands for the n eigenvalues, each of mass 1/n."""

    nodes: Tensor  # (m,), ascending, in the unit of the eigenvalues
    weights: Tensor  # (m,), float64, not negative, sum 1: the share of eigenvalues near the node
    mass_error: float  # one standard deviation of the mass in any range of eigenvalues, at most
    probes: int  # random directions that were averaged
    products: int  # operator-vector products that were made


def spectral_density(
    operator: Any, *, generator: torch.Generator, probes: int = 10, steps: int = 50
) -> SpectralDensity:
    """The spectrum as nodes and weights: sum w_i f(node_i) estimates tr f(H) / n.

        v' f(H) v = sum_i (s_i1)^2 f(theta_i),   T s_i = theta_i s_i,   v uniform on the sphere

    Args:
        operator: a `HessianOperator` or any symmetric matrix.
        generator: draws the probes.
        probes: random directions, averaged.
        steps: Lanczos steps a probe; fewer where the Krylov space ends before.

    Returns:
        `SpectralDensity`; the nodes of all probes together, in the operator's dtype.

    Two errors. The probes': the mass of a set with a share f of the eigenvalues has standard
    deviation sqrt(f (1 - f) / ((n/2 + 1) probes)), at most 1 / sqrt(2 (n + 2) probes), which is
    `mass_error`. The quadrature's: each probe is exact for polynomials of degree up to
    2 steps - 1 and resolves no finer than about pi/2 (l_max - l_min) / steps inside the
    spectrum; separate eigenvalues no more in number than the steps are found exactly.

    Raises:
        ValueError, TypeError: as `eigenpairs`; probes or steps below 1; no generator.

    Source: Ubaru, Chen and Saad 2017, "Fast estimation of tr(f(A)) via stochastic Lanczos
    quadrature"; Ghorbani, Krishnan and Xiao 2019.

    >>> density = spectral_density(3 * torch.eye(2), generator=torch.Generator(), probes=1)
    >>> density.nodes.tolist(), density.weights.tolist()
    ([3.0], [1.0])
    """
    symmetric = symmetric_operator(operator)
    random_generator(generator)
    probes = positive_integer(probes, "probes", "pass the number of random directions")
    steps = positive_integer(steps, "steps", "pass the number of Lanczos steps a probe")
    nodes, weights = [], []
    for _ in range(probes):
        v = torch.randn(
            symmetric.n, generator=generator, dtype=symmetric.dtype, device=generator.device
        ).to(symmetric.device)
        direction = v / v.norm()
        space = Subspace(symmetric, min(steps, symmetric.n))
        amount = 1.0
        while amount > 0 and space.size < space.capacity:
            direction, amount = space.expand(direction)
        values, coefficients = space.ritz()
        nodes.append(values * space.scale)
        weights.append(coefficients[0] ** 2 / probes)
    ordered, order = torch.cat(nodes).sort()
    mass = torch.cat(weights)[order]
    return SpectralDensity(
        nodes=ordered.to(symmetric.device, symmetric.dtype),
        weights=(mass / mass.sum()).to(symmetric.device),
        mass_error=1 / math.sqrt(2 * (symmetric.n + 2) * probes),
        probes=probes,
        products=symmetric.products,
    )

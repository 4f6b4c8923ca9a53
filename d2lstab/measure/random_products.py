"""Products of random matrices, simulated: how fast a vector grows, and in which directions."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from d2lstab.arguments import choice, positive_integer, positive_number, random_generator
from d2lstab.elementwise import activation

__all__ = ["LyapunovEstimates", "log_norms", "lyapunov_estimates"]

HOMOGENEOUS = ("linear", "relu", "leaky_relu")  # phi(c x) = c phi(x) for c > 0
# The rounding of four layers is some 1e-10 in the smallest factor, even for wide matrices
_LAYERS_PER_QR = 4
_LARGEST_BLOCK = 2**16  # random entries drawn at once: they stay in the cache


@dataclass(frozen=True, slots=True, eq=False)
class LyapunovEstimates:
    """Growth rates of a product of random matrices, largest first."""

    exponents: Tensor  # shape (n,), float64: mean of ln |R_kk|, the growth per layer
    standard_error: Tensor  # shape (n,): of the exponents; NaN for one trial of at most 4 layers
    trials: int  # independent products
    depth: int  # matrices in each product


def log_norms(
    n: int,
    depth: int,
    trials: int,
    *,
    std: float,
    generator: torch.Generator,
    phi: str = "linear",
) -> Tensor:
    """Logarithm of the growth of a fixed vector under random layers, after every layer.

    ln |x_l| / |x_0|,  x_l = phi(W_l x_{l-1}),  W_l an n x n matrix of independent N(0, std**2).

    Args:
        n: width of every layer.
        depth: number of layers.
        trials: number of independent networks.
        std: standard deviation of every entry.
        generator: draws the matrices, on its device.
        phi: "linear", "relu" or "leaky_relu", for which phi(c x) = c phi(x) with c > 0.

    Returns:
        float64 tensor of shape (trials, depth). The vector is brought back to norm 1 after
        each layer and the logarithms are added up, so that no depth over- or underflows;
        the round-off of an entry is about depth * 1e-16. The normals are drawn in float32,
        which cuts their tails at 5.8 standard deviations. A ReLU layer that maps the vector
        to 0 (a share of 2**-n) gives -inf from there on.

    Raises:
        ValueError: a size below 1, a std that is not positive and finite, another phi.
        TypeError: an argument of the wrong type.

    Source: Cohen and Newman (1984); Hanin and Nica (2018) for ReLU.

    >>> g = torch.Generator().manual_seed(0)
    >>> growth = log_norms(100, 50, 20, std=1.0, generator=g)
    >>> round(float(growth[:, -1].mean()) / 50, 1)  # ln sqrt(100) = 2.3 per layer
    2.3
    """
    _check(n, depth, trials, std, generator)
    function = activation(choice(phi, "phi", HOMOGENEOUS, "the others are not homogeneous"))
    parts = []
    for count in _chunks(n, trials):
        x = torch.full((count, n, 1), n**-0.5, dtype=torch.float64, device=generator.device)
        growth = torch.empty(depth, count, dtype=torch.float64, device=generator.device)
        for layer, matrices in enumerate(_matrices(count, n, depth, generator)):
            x = function(torch.bmm(matrices, x))
            torch.linalg.vector_norm(x, dim=(1, 2), out=growth[layer])
            # 0 stays 0 where ReLU has silenced every unit
            x /= growth[layer].clamp_min(torch.finfo(torch.float64).tiny).view(-1, 1, 1)
        # std scales every layer alike: added in log space it can neither over- nor underflow
        parts.append((growth.log_() + math.log(std)).cumsum(0).T)
    return torch.cat(parts).contiguous()


def lyapunov_estimates(
    n: int, depth: int, trials: int, *, std: float, generator: torch.Generator
) -> LyapunovEstimates:
    """The Lyapunov exponents of products of random matrices, from repeated QR.

    W_l Q_{l-1} = Q_l R_l,  exponent k = mean of ln |(R_l)_kk|,  W_l of independent N(0, std**2).

    Four layers are multiplied before each QR: their R is the product of the four.

    Arguments and errors are those of `log_norms`.

    Returns:
        `LyapunovEstimates`. The growth of different layers and trials is independent, as
        their matrices are, so that the standard error is the standard deviation of
        ln |(R_l)_kk| over sqrt(depth * trials).

    Source: Benettin et al. (1980), part 2, for the method; Newman (1986) for the exponents.

    >>> g = torch.Generator().manual_seed(0)
    >>> lyapunov_estimates(3, 40, 50, std=1.0, generator=g).exponents.shape
    torch.Size([3])
    """
    _check(n, depth, trials, std, generator)
    logs_sum = torch.zeros(n, dtype=torch.float64, device=generator.device)
    squares_sum, blocks = torch.zeros_like(logs_sum), 0
    for count in _chunks(n, trials):
        q = torch.eye(n, dtype=torch.float64, device=generator.device).repeat(count, 1, 1)
        since = 0
        for layer, matrices in enumerate(_matrices(count, n, depth, generator), start=1):
            q, since = torch.bmm(matrices, q), since + 1
            if since == _LAYERS_PER_QR or layer == depth:
                q, r = torch.linalg.qr(q)
                logs = r.diagonal(dim1=1, dim2=2).abs().log_()
                logs_sum += logs.sum(0)
                squares_sum += logs.square().sum(0) / since
                blocks, since = blocks + count, 0
    factors = depth * trials
    mean = logs_sum / factors
    # one block alone leaves 0 / 0, which is the NaN it should be
    per_layer = (squares_sum - factors * mean.square()).clamp_min(0) / (blocks - 1)
    error = (per_layer / factors).sqrt()
    return LyapunovEstimates(mean + math.log(std), error, int(trials), int(depth))


def _check(n: int, depth: int, trials: int, std: float, generator: torch.Generator) -> None:
    positive_integer(n, "n", "pass the width of the layers")
    positive_integer(depth, "depth", "pass the number of layers")
    positive_integer(trials, "trials", "pass the number of independent products")
    positive_number(std, "std", "pass the standard deviation of the entries")
    random_generator(generator)


def _chunks(n: int, trials: int) -> Iterator[int]:
    largest = max(1, _LARGEST_BLOCK // n**2)
    for start in range(0, trials, largest):
        yield min(largest, trials - start)


def _matrices(count: int, n: int, depth: int, generator: torch.Generator) -> Iterator[Tensor]:
    # float32 normals are drawn six times faster; everything else happens in float64
    drawn = torch.empty(count, n, n, dtype=torch.float32, device=generator.device)
    matrices = torch.empty_like(drawn, dtype=torch.float64)
    for _ in range(depth):
        yield matrices.copy_(drawn.normal_(generator=generator))

"""Products of independent Gaussian matrices: how long vectors grow, and how much that varies."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, gammaln, polygamma

from d2lstab.arguments import choice, natural_number, positive_integer, positive_number
from d2lstab.arguments import widths as layer_widths
from d2lstab.elementwise import Activation
from d2lstab.theory.homogeneity import homogeneous_slopes

__all__ = [
    "LogGrowth",
    "fourth_moment_ratio",
    "log_growth",
    "lyapunov_spectrum",
    "max_squared_singular_value",
]

_WIDTH = "pass the number of rows of the square matrices"
_STD = "pass the standard deviation of a matrix entry"


@dataclass(frozen=True, slots=True, eq=False)
class LogGrowth:
    """Mean and variance of ln(norm out / norm in) over random products."""

    mean: float  # natural logarithm of a norm (not of a squared norm)
    variance: float  # of that logarithm, over independent products


def lyapunov_spectrum(n: int, std: float = 1.0) -> np.ndarray:
    """The exponential growth rates of a product of n x n matrices with N(0, std^2) entries.

        lambda_k = ln std + (ln 2 + psi((n - k + 1) / 2)) / 2,   k = 1, ..., n

    with the digamma function psi. lambda_1 + ... + lambda_k is the growth rate of k-dimensional
    volumes, per factor.

    `n` is the width, `std` the standard deviation of an entry. The result has shape (n,), falls
    from the first entry to the last, and is in natural logarithms of a length per factor.
    Exact for every n, not only for large n.

    Raises:
        TypeError, ValueError: `n` is not a positive integer or `std` not a positive number.

    Source: Newman (1986), "The distribution of Lyapunov exponents: exact results for random
    matrices", Communications in Mathematical Physics 103.

    >>> float((2 * lyapunov_spectrum(2)[0] - math.log(2)).round(12))  # psi(1)
    -0.577215664902
    """
    n = positive_integer(n, "n", _WIDTH)
    std = positive_number(std, "std", _STD)
    return math.log(std) + (math.log(2) + digamma(np.arange(n, 0, -1) / 2)) / 2


def log_growth(n: int, depth: int, std: float = 1.0, phi: str = "linear") -> LogGrowth:
    """How ln(norm out / norm in) is distributed after `depth` random layers of width `n`.

    A Gaussian layer turns |x|^2 into std^2 |x|^2 chi^2 with chi^2 of n degrees of freedom,
    independently of everything before, so that per layer

        mean = ln std + (ln 2 + psi(n / 2)) / 2,   variance = psi_1(n / 2) / 4.

    With phi = "relu" only K of the n degrees count, K ~ Binomial(n, 1/2); the layer then means
    relu(W x), and the moments are those given K > 0 (K = 0 has probability 2^-n).

    `n` is the width of the layers and of the input, `depth` their number (0 gives 0 and 0),
    `std` the standard deviation of a weight. Natural logarithms. Exact for every n and depth.
    For large n and std^2 = 1/n (2/n for relu) the logarithm of the *squared* norm has mean
    -depth/n (-5 depth/2n) and variance 2 depth/n (5 depth/n).

    Raises:
        TypeError, ValueError: `n` is not a positive integer, `depth` not an integer of at least
            0, `std` not a positive number, or `phi` neither "linear" nor "relu".

    Source: Cohen and Newman (1984), "The stability of large random matrices and their products",
    Annals of Probability 12.

    >>> growth = log_growth(2, depth=10)  # psi_1(1) = pi^2 / 6
    >>> round(growth.variance / (10 * math.pi**2 / 24), 12)
    1.0
    """
    n = positive_integer(n, "n", _WIDTH)
    depth = natural_number(depth, "depth", "pass the number of layers")
    std = positive_number(std, "std", _STD)
    if choice(phi, "phi", ("linear", "relu"), "only these have an exact law") == "linear":
        active, weights = np.array([n]), np.ones(1)
    else:
        active = np.arange(1, n + 1)
        ways = gammaln(n + 1) - gammaln(active + 1) - gammaln(n - active + 1)
        weights = np.exp(ways - ways.max())
        weights /= weights.sum()
    means = math.log(std) + (math.log(2) + digamma(active / 2)) / 2
    mean = float(weights @ means)
    variance = float(weights @ (polygamma(1, active / 2) / 4 + (means - mean) ** 2))
    return LogGrowth(mean=depth * mean, variance=depth * variance)


def fourth_moment_ratio(widths: list[int], phi: Activation = "relu") -> float:
    """E|h|^4 / (E|h|^2)^2 of the output h of a random network, from its layers' widths.

        prod over layers of 1 + (k - 1) / n,   k = E phi(z)^4 / (E phi(z)^2)^2

    with z ~ N(0, 1): (1 + 2/n) for linear layers (k = 3), (1 + 5/n) for relu (k = 6). It is 1
    where the norm does not fluctuate, and about exp((k - 1) sum 1/n) in a deep network.

    Each layer is phi(W h) with centered Gaussian weights and no bias, of any variance: given h,
    the entries of W h are independent N(0, v |h|^2), and phi(c z) = c phi(z) for c > 0 takes the
    factor |h|^2 out. The same ratio holds for the squared gradient of a linear or relu network.
    `widths` holds the widths of the layers *without* the input, whose width does not matter.
    Exact at every width, but only for positively homogeneous phi (a x for x > 0, b x for x < 0):
    with any other phi the ratio depends on the input's norm and is no product.

    Raises:
        TypeError: `widths` is not a list of integers, or `phi` neither a name nor a function.
        ValueError: a width is not positive, the list is empty, or phi is not homogeneous.

    Source: Hanin and Nica (2018), "Products of many large random matrices and gradients in deep
    neural networks"; Hanin (2018), "Which neural net architectures give rise to exploding and
    vanishing gradients?".

    >>> fourth_moment_ratio([5, 10])  # (1 + 5/5) (1 + 5/10)
    3.0
    """
    sizes = layer_widths(widths, minimum=1, advice="pass the widths of the layers after the input")
    slopes = homogeneous_slopes(phi)
    if slopes is None:
        raise ValueError(
            "phi must be positively homogeneous (a x for x > 0, b x for x < 0, not both 0), "
            f"got {phi!r}: use linear, relu or leaky_relu; no other phi has a product law"
        )
    above, below = slopes
    largest = max(abs(above), abs(below))
    above, below = above / largest, below / largest
    kurtosis = 6 * (above**4 + below**4) / (above**2 + below**2) ** 2
    return math.prod(1 + (kurtosis - 1) / n for n in sizes)


def max_squared_singular_value(depth: int) -> float:
    """The largest squared singular value of a product of Gaussian matrices of variance 1/n.

        s_max^2 = (L + 1)^(L + 1) / L^L,   L = depth

    It is 4 for one matrix and grows like e (L + 1/2), although the mean squared singular value
    stays 1: a deep linear network at Xavier's variance stretches some directions, while an
    orthogonal one has all singular values 1 at every depth.

    `depth` is the number of square matrices with N(0, 1/n) entries. Dimensionless. The limit of
    large width n at fixed depth; at finite n the value fluctuates around it by O(n^(-2/3)).

    Raises:
        TypeError, ValueError: `depth` is not a positive integer.

    Source: Pennington, Schoenholz and Ganguli (2017), "Resurrecting the sigmoid in deep learning
    through dynamical isometry", section 2.3; Saxe, McClelland and Ganguli (2014).

    >>> max_squared_singular_value(2)  # 3^3 / 2^2
    6.75
    """
    depth = positive_integer(depth, "depth", "pass the number of matrices")
    if depth <= 100:
        return (depth + 1) ** (depth + 1) / depth**depth  # integers: the quotient rounds once
    return (depth + 1) * math.exp(depth * math.log1p(1 / depth))

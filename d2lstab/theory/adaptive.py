"""Adam's bias correction, RAdam's rectification, and the variance of an adaptive rate."""

import math

from d2lstab.arguments import number_between, positive_integer

__all__ = ["adam_bias_correction", "inverse_rms_variance", "radam_length", "radam_rectification"]


def _decay(beta: float, name: str) -> float:
    return number_between(beta, name, 0, 1, "pass a decay rate such as 0.999", closed="left")


def adam_bias_correction(beta: float, step: int) -> float:
    """The sum of the weights of an exponential moving average that started at 0.

        1 - beta^t = sum_{i=1}^t (1 - beta) beta^(t-i)

    Adam divides its moments by it. `step` t counts from 1. Dimensionless; accurate also
    where beta^t is close to 1.

    Raises:
        ValueError: `beta` outside [0, 1) or `step` below 1.

    Source: Kingma and Ba (2015), section 3.

    >>> adam_bias_correction(0.5, 2)
    0.75
    """
    decay = _decay(beta, "beta")
    t = positive_integer(step, "step", "steps count from 1")
    return 1.0 if decay == 0 else -math.expm1(t * math.log(decay))


def radam_length(step: int, beta2: float) -> float:
    """The length rho_t of the simple average that Adam's second moment amounts to.

        rho_t = rho_inf - 2 t beta2^t / (1 - beta2^t),    rho_inf = 2 / (1 - beta2) - 1

    In samples; 1 at the first step, growing to rho_inf.

    Raises:
        ValueError: `beta2` outside [0, 1) or `step` below 1.

    Source: Liu, Jiang, He et al. (2020), section 4.1.

    >>> round(radam_length(1, 0.999), 6), round(radam_length(10**6, 0.999), 6)
    (1.0, 1999.0)
    """
    decay = _decay(beta2, "beta2")
    t = positive_integer(step, "step", "steps count from 1")
    correction = adam_bias_correction(decay, t)
    return 2 / (1 - decay) - 1 - 2 * t * (1 - correction) / correction


def radam_rectification(step: int, beta2: float) -> float | None:
    """The factor r_t by which RAdam shrinks the adaptive rate, None where it has none.

        r_t^2 = (rho_t - 4) (rho_t - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho_t)

    It makes the variance of the adaptive rate the same at all steps, to first order. None
    where rho_t <= 4 and that variance is not finite: the paper then takes a step without it.
    (torch.optim.RAdam waits until rho_t > 5.)

    Raises:
        ValueError: `beta2` outside [0, 1) or `step` below 1.

    Source: Liu, Jiang, He et al. (2020), section 4.2 and algorithm 2.

    >>> radam_rectification(4, 0.999) is None, round(radam_rectification(5, 0.999), 5)
    (True, 0.01731)
    """
    rho = radam_length(step, beta2)
    if not rho > 4:
        return None
    longest = 2 / (1 - float(beta2)) - 1
    ratio = (rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho)
    return math.sqrt(ratio)


def inverse_rms_variance(samples: int) -> float:
    """The variance of 1 / sigma for the root mean square sigma of standard Gaussian gradients.

        Var[1 / sigma_t] = t / (t - 2) - (t / 2) (Gamma((t - 1) / 2) / Gamma(t / 2))^2

    with sigma_t^2 the mean of t squares. Infinite for t <= 2; about 1 / (2 t) for large t. In
    units of 1 / (gradient's standard deviation)^2. From t = 40 on, the difference is taken
    in the expansion of the ratio of Gamma functions, so that no digits cancel: relative
    error below 1e-12 for every t.

    Raises:
        ValueError: `samples` is below 1.

    Source: Liu, Jiang, He et al. (2020), theorem 1, here for a simple average.

    >>> inverse_rms_variance(2), round(inverse_rms_variance(4), 4)
    (inf, 0.4292)
    """
    t = positive_integer(samples, "samples", "pass the number of gradients seen")
    if t <= 2:
        return math.inf
    if t < 40:
        ratio = math.gamma((t - 1) / 2) / math.gamma(t / 2)
        return t / (t - 2) - t / 2 * ratio * ratio
    # With z = t/2 - 3/4: (Gamma(z + 3/4) / Gamma(z + 1/4))^2 = z (1 + c), c a series in 1/z^2.
    x, z = t / 2, t / 2 - 0.75
    u = 1 / (z * z)
    c = u * (1 / 32 + u * (-9 / 2048 + u * (153 / 65536 - u * 21429 / 8388608)))
    return x * (0.25 + z * c) / ((x - 1) * z * (1 + c))

"""Taylor coefficients by exact recurrences for the smooth pieces of the named activations.

Every function returns the coefficients of t^0 ... t^order of f(at + t) as a float64 array.
The recurrences come from differential equations that each function obeys.
"""

import math
from collections.abc import Callable

import numpy as np

__all__ = ["SERIES", "product", "quotient"]

Series = Callable[[float, int], np.ndarray]


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The Cauchy product, cut at the common order."""
    return np.convolve(a, b)[: len(a)]


def quotient(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The series c with c b = a, for b[0] != 0."""
    c = np.zeros_like(a)
    for k in range(len(a)):
        c[k] = (a[k] - c[:k] @ b[k:0:-1]) / b[0]
    return c


def _variable(at: float, order: int) -> np.ndarray:
    x = np.zeros(order + 1)
    x[: min(2, order + 1)] = (at, 1.0)[: order + 1]
    return x


def _exponential(at: float, order: int, sign: int = 1) -> np.ndarray:
    return math.exp(sign * at) * np.array([sign**k / math.factorial(k) for k in range(order + 1)])


def _logistic_derivative(
    value: float, slope: float, order: int, sign: float, of: float
) -> np.ndarray:
    """f with f'' = f' (of + sign * 2 f), from f and f' at the point."""
    f, d = np.zeros(order + 1), np.zeros(order + 1)
    f[0], d[0] = value, slope
    for k in range(order):
        f[k + 1] = d[k] / (k + 1)
        d[k + 1] = (of * d[k] + sign * 2 * (d[: k + 1] @ f[k::-1])) / (k + 1)
    return f


def _sigmoid(at: float, order: int) -> np.ndarray:
    small = math.exp(-abs(at))
    value = 1 / (1 + small) if at >= 0 else small / (1 + small)
    return _logistic_derivative(value, small / (1 + small) ** 2, order, -1, 1)


def _tanh(at: float, order: int) -> np.ndarray:
    small = math.exp(-2 * abs(at))
    return _logistic_derivative(math.tanh(at), 4 * small / (1 + small) ** 2, order, -1, 0)


def _scaled_sigmoid(at: float, order: int) -> np.ndarray:
    f = 4 * _sigmoid(at, order)
    f[0] = 2 * math.tanh(at / 2)
    return f


def _softplus(at: float, order: int) -> np.ndarray:
    f = np.zeros(order + 1)
    f[0] = max(at, 0.0) + math.log1p(math.exp(-abs(at)))
    f[1:] = _sigmoid(at, order)[:-1] / np.arange(1, order + 1)
    return f


def _silu(at: float, order: int) -> np.ndarray:
    return product(_variable(at, order), _sigmoid(at, order))


def _gelu(at: float, order: int) -> np.ndarray:
    density, cumulative = np.zeros(order + 1), np.zeros(order + 1)
    density[0] = math.exp(-at * at / 2) / math.sqrt(2 * math.pi)
    cumulative[0] = math.erfc(-at / math.sqrt(2)) / 2
    for k in range(order):
        cumulative[k + 1] = density[k] / (k + 1)
        density[k + 1] = -(at * density[k] + (density[k - 1] if k else 0.0)) / (k + 1)
    return product(_variable(at, order), cumulative)


def _mish(at: float, order: int) -> np.ndarray:
    """tanh(ln(1 + e^x)) = n / (n + 2) with n = e^x (e^x + 2); e^-x in its place for x > 0."""
    e = _exponential(at, order, sign=1 if at <= 0 else -1)
    one = np.zeros(order + 1)
    one[0] = 1.0
    if at <= 0:
        above = product(e, e + 2 * one)
        ratio = quotient(above, above + 2 * one)
    else:
        above = one + 2 * e
        ratio = quotient(above, above + 2 * product(e, e))
    return product(_variable(at, order), ratio)


def _softsign(at: float, order: int) -> np.ndarray:
    side = math.copysign(1.0, at)
    f = np.array([-side * (-side) ** k / (1 + abs(at)) ** (k + 1) for k in range(order + 1)])
    f[0] = at / (1 + abs(at))
    return f


def _rectifier(above: float, below: float) -> Series:
    return lambda at, order: (above if at > 0 else below) * _variable(at, order)


def _exponential_rectifier(scale: float, alpha: float) -> Series:
    def series(at: float, order: int) -> np.ndarray:
        if at > 0:
            return scale * _variable(at, order)
        f = scale * alpha * _exponential(at, order)
        f[0] = scale * alpha * math.expm1(at)
        return f

    return series


def _hardtanh(at: float, order: int) -> np.ndarray:
    f = _variable(at, order) * (abs(at) < 1)
    f[0] = min(max(at, -1.0), 1.0)
    return f


SERIES: dict[str, Series] = {
    "linear": _variable,
    "sigmoid": _sigmoid,
    "scaled_sigmoid": _scaled_sigmoid,
    "tanh": _tanh,
    "relu": _rectifier(1.0, 0.0),
    "leaky_relu": _rectifier(1.0, 0.01),
    "elu": _exponential_rectifier(1.0, 1.0),
    "selu": _exponential_rectifier(
        1.0507009873554804934193349852946, 1.6732632423543772848170429916717
    ),
    "gelu": _gelu,
    "silu": _silu,
    "mish": _mish,
    "softplus": _softplus,
    "softsign": _softsign,
    "hardtanh": _hardtanh,
}

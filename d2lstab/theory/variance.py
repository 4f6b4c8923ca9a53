"""How variances pass through the layers of a wide random network, forward and backward."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from d2lstab.arguments import non_negative_number, positive_integer
from d2lstab.arguments import widths as layer_widths
from d2lstab.elementwise import Activation
from d2lstab.theory.activations import Moments, known_kinks, moments
from d2lstab.theory.gaussian_integrals import value_and_slope

__all__ = [
    "VarianceProfile",
    "backward_factor",
    "forward_factor",
    "he_variance",
    "moments_at",
    "variance_profile",
    "xavier_bound",
    "xavier_variance",
]

_FAN_IN = "pass the number of inputs of the layer"
_FAN_OUT = "pass the number of outputs of the layer"
_VARIANCE = "pass the variance of a weight, not its standard deviation"


@dataclass(frozen=True, slots=True, eq=False)
class VarianceProfile:
    """What a wide network does to its signal and to its gradient, layer by layer."""

    forward: np.ndarray  # (layers,): variance of a pre-activation, first layer first
    backward: np.ndarray  # (layers,): squared gradient there, relative to the last layer's


def forward_factor(
    fan_in: int,
    weight_variance: float,
    phi: Activation = "linear",
    variance: float = 1.0,
    kinks: Iterable[float] = (),
) -> float:
    """The factor by which one layer multiplies the pre-activation's variance.

        fan_in * weight_variance * E[phi(sqrt(v) z)^2] / v,   z ~ N(0, 1), v = variance

    `fan_in` is the number of inputs, `weight_variance` the variance of one weight, `variance`
    that of the pre-activation that enters phi; `kinks` as in `moments`. Dimensionless.
    Valid for independent centered weights, no bias, and a Gaussian pre-activation (wide layers;
    exact without activation).

    Raises:
        TypeError, ValueError: `fan_in` is not a positive integer, `weight_variance` not a number
            of at least 0, or as `moments`.

    Source: Glorot and Bengio (2010), equation 5; He et al. (2015), equations 7 to 9.

    >>> round(forward_factor(100, 0.01, "relu"), 12)  # 100 * 0.01 / 2
    0.5
    """
    fan_in = positive_integer(fan_in, "fan_in", _FAN_IN)
    weight_variance = non_negative_number(weight_variance, "weight_variance", _VARIANCE)
    return fan_in * weight_variance * moments(phi, variance, kinks).second / float(variance)


def backward_factor(
    fan_out: int,
    weight_variance: float,
    phi: Activation = "linear",
    variance: float = 1.0,
    kinks: Iterable[float] = (),
) -> float:
    """The factor by which one layer multiplies the squared gradient on its way back.

        fan_out * weight_variance * E[phi'(sqrt(v) z)^2],   z ~ N(0, 1), v = variance

    `fan_out` is the number of outputs of the weights that the gradient comes back through,
    `variance` the variance of the pre-activation that it arrives at. Dimensionless.
    Valid where the gradient is independent of these weights, which is exact only in the limit
    of large widths.

    Raises:
        TypeError, ValueError: `fan_out` is not a positive integer, `weight_variance` not a
            number of at least 0, or as `moments`.

    Source: Glorot and Bengio (2010), equation 6; He et al. (2015), equation 13.

    >>> round(backward_factor(300, 0.01), 12)
    3.0
    """
    fan_out = positive_integer(fan_out, "fan_out", _FAN_OUT)
    weight_variance = non_negative_number(weight_variance, "weight_variance", _VARIANCE)
    return fan_out * weight_variance * moments(phi, variance, kinks).derivative_second


def xavier_variance(fan_in: int, fan_out: int) -> float:
    """Glorot's compromise between the forward and the backward condition.

        2 / (fan_in + fan_out)

    Numbers of inputs and outputs in, variance of a weight out. It meets fan_in * variance = 1
    and fan_out * variance = 1 only where both widths are equal.

    Raises:
        TypeError, ValueError: a width is not a positive integer.

    Source: Glorot and Bengio (2010), equation 12.

    >>> xavier_variance(300, 100)
    0.005
    """
    fan_in = positive_integer(fan_in, "fan_in", _FAN_IN)
    return 2 / (fan_in + positive_integer(fan_out, "fan_out", _FAN_OUT))


def xavier_bound(fan_in: int, fan_out: int) -> float:
    """The a for which U(-a, a), of variance a^2 / 3, has Xavier's variance.

        sqrt(6 / (fan_in + fan_out))

    Raises:
        TypeError, ValueError: a width is not a positive integer.

    Source: Glorot and Bengio (2010), equation 16.

    >>> xavier_bound(2, 4)
    1.0
    """
    return math.sqrt(3 * xavier_variance(fan_in, fan_out))


def he_variance(fan_in: int) -> float:
    """The weight variance that keeps a ReLU network's forward variance.

        2 / fan_in

    Raises:
        TypeError, ValueError: `fan_in` is not a positive integer.

    Source: He et al. (2015), equation 10.

    >>> he_variance(8)
    0.25
    """
    return 2 / positive_integer(fan_in, "fan_in", _FAN_IN)


def variance_profile(
    widths: Sequence[int],
    weight_variance: float | Sequence[float],
    phi: Activation,
    input_second_moment: float,
    *,
    bias_variance: float | Sequence[float] = 0.0,
    kinks: Iterable[float] = (),
) -> VarianceProfile:
    """The variance of every pre-activation and the squared gradient at it.

        q_1 = n_0 v_1 m + b_1,    q_(l+1) = n_l v_(l+1) E[phi(sqrt(q_l) z)^2] + b_(l+1)
        g_L = 1,                  g_l = n_(l+1) v_(l+1) E[phi'(sqrt(q_l) z)^2] g_(l+1)

    `widths` = [n_0, ..., n_L] has the input first; `weight_variance` (v) and `bias_variance` (b)
    are one number or one for each of the L layers; `input_second_moment` (m) is the mean square
    of the inputs, *not* their variance: they need not be centered. phi follows every layer but
    the last. Both results have shape (L,). The gradient is that of one unit, in mean square.

    The limit of large widths; at finite width the logarithm of one network's squared norm
    scatters by about sqrt(2 L / n) (linear) to sqrt(5 L / n) (relu). A variance that leaves
    float64 is 0 or inf.

    Raises:
        TypeError: `widths` or a list of variances has a wrong type, or phi as in `moments`.
        ValueError: a width is not positive, a variance or `input_second_moment` negative or not
            finite, or a list has another length than there are layers.

    Source: Glorot and Bengio (2010); He et al. (2015); Poole et al. (2016), equation 3.

    >>> profile = variance_profile([784, 100, 10], [1 / 784, 0.01], "linear", 2.0)
    >>> [round(float(v), 12) for v in (*profile.forward, *profile.backward)]
    [2.0, 2.0, 0.1, 1.0]
    """
    sizes = layer_widths(widths, advice="pass the input's width and every layer's")
    layers = len(sizes) - 1
    weights = _one_for_each(weight_variance, "weight_variance", layers)
    biases = _one_for_each(bias_variance, "bias_variance", layers)
    second = non_negative_number(
        input_second_moment, "input_second_moment", "pass the mean square of the inputs"
    )
    kinks = known_kinks(phi, kinks)
    forward, slopes = np.zeros(layers), np.ones(layers)
    for layer in range(layers):
        variance = sizes[layer] * weights[layer] * second + biases[layer]
        found = moments_at(phi, variance, kinks)
        forward[layer], second = variance, found.second
        if layer + 1 < layers:
            slopes[layer] = sizes[layer + 2] * weights[layer + 1] * found.derivative_second
    backward = np.ones(layers)
    for layer in reversed(range(layers - 1)):
        # 0 stops even a gradient that has overflowed.
        backward[layer] = slopes[layer] and float(backward[layer + 1]) * float(slopes[layer])
    return VarianceProfile(forward=forward, backward=backward)


def moments_at(phi: Activation, variance: float, kinks: Iterable[float] = ()) -> Moments:
    """The moments of `activations.moments`, also at variance 0 and beyond 1e250.

    At 0 they are phi(0), phi(0)^2 and the limit of E phi'^2. Beyond 1e250 an unbounded phi grows
    in proportion to the variance, as it does at 1e250.

    >>> moments_at("sigmoid", 0.0).second
    0.25
    """
    inside = min(max(variance, 1e-250), 1e250)
    found = moments(phi, inside, kinks)
    if variance < inside:
        origin = float(value_and_slope(phi, np.zeros(1))[0][0])
        return Moments(origin, origin**2, found.derivative_second)
    if variance > inside and found.second > 1e200:
        ratio = variance / inside
        return Moments(found.mean * math.sqrt(ratio), found.second * ratio, found.derivative_second)
    return found


def _one_for_each(value: object, name: str, layers: int) -> list[float]:
    """A number for each layer, from one number or a sequence of them."""
    advice = f"pass one number, or one for each of the {layers} layers"
    scalar = isinstance(value, str) or not isinstance(value, Iterable)
    if scalar or (isinstance(value, Tensor | np.ndarray) and value.ndim == 0):
        return [non_negative_number(value, name, advice)] * layers
    assert isinstance(value, Iterable)
    numbers = [non_negative_number(v, f"{name}[{i}]", advice) for i, v in enumerate(value)]
    if len(numbers) != layers:
        raise ValueError(f"{name} must have {layers} entries, got {len(numbers)}: {advice}")
    return numbers

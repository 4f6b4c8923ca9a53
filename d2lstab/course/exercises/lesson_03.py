"""Exercises of lesson 03: activations, near zero and far from it."""

import math

from d2lstab.course.exercise import Exercise, Mistake
from d2lstab.course.exercises.lesson_03_further import FURTHER
from d2lstab.course.exercises.lesson_03_phase import PHASE
from d2lstab.theory.activations import moments

__all__ = ["EXERCISES"]

# Exercise 1: the weights behind a straight activation, and what its offset costs.


def _gamma(a: float, b: float, n: int, q: float) -> float:
    return q / (n * (a * a * q + b * b))


def _share(a: float, b: float, n: int, q: float) -> float:
    return n * _gamma(a, b, n, q) * a * a


STRAIGHT_WEIGHTS = Exercise(
    id="03-straight-weights",
    title="Weights that keep the mean square behind a straight activation, and their gradient",
    inputs=(
        (1.0, 0.0, 100, 1.0),
        (0.25, 0.5, 100, 1.0),
        (2.0, 0.3, 64, 0.7),
        (-1.5, 2.0, 10, 3.0),
    ),
    reference=lambda a, b, n, q: [_gamma(a, b, n, q), _share(a, b, n, q)],
    mistakes=(
        Mistake(
            lambda a, b, n, q: [1 / (n * a * a), 1.0],
            "The offset is missing: the weights are centered, but the mean of h still adds to its "
            "second moment, which is what the next layer sees.",
        ),
        Mistake(
            lambda a, b, n, q: [_gamma(a, b, n, q), n * _gamma(a, b, n, q) * (a * a + b * b)],
            "The offset entered the gradient: the derivative of a constant is 0. It acts on the "
            "gradient through the weights alone.",
        ),
        Mistake(
            lambda a, b, n, q: [_gamma(a, b, n, q) / q, _share(a, b, n, q) / q],
            "With these weights the mean square becomes 1, whatever it was: it was to be q again.",
        ),
        Mistake(
            lambda a, b, n, q: [math.sqrt(_gamma(a, b, n, q)), _share(a, b, n, q)],
            "The first number is the standard deviation of the weights: their variance was asked.",
        ),
        Mistake(
            lambda a, b, n, q: [_gamma(a, b, n, q), math.sqrt(_share(a, b, n, q))],
            "The second number is the factor of the gradient's size: that of its square was asked.",
        ),
        Mistake(
            lambda a, b, n, q: [
                q / (n * (a * math.sqrt(q) + b) ** 2),
                a * a * q / (a * math.sqrt(q) + b) ** 2,
            ],
            "The cross term 2 alpha beta E[z] is 0, because z is centered.",
        ),
        Mistake(
            lambda a, b, n, q: [n * _gamma(a, b, n, q), _share(a, b, n, q)],
            "This is n gamma: divide by the number of inputs.",
        ),
    ),
    hints=(
        "Set the mean square of (1) equal to q and solve for gamma. Then put this gamma into (2).",
        "gamma = q / (n (alpha^2 q + beta^2)), and the squared gradient is multiplied by "
        "n gamma alpha^2.",
    ),
    solution="""
def straight_weights(alpha, beta, n, q):
    gamma = q / (n * (alpha**2 * q + beta**2))  # n gamma E[h^2] = q
    # the offset is not in the gradient, but it is in gamma
    return [gamma, n * gamma * alpha**2]
""",
)

# Exercise 2: E phi^2 to second order in the variance.


def _series(c: list[float], q: float, fourth: float = 3.0, cross: float = 1.0) -> float:
    first = c[1] ** 2 + 2 * cross * c[0] * c[2]
    second = c[2] ** 2 + 2 * cross * (c[1] * c[3] + c[0] * c[4])
    return c[0] ** 2 + first * q + fourth * second * q * q


SMALL_VARIANCE = Exercise(
    id="03-small-variance",
    title="The mean square of an activation for small variances, from its Taylor coefficients",
    inputs=(
        ([0.0, 1.0, 0.0, -1 / 3, 0.0], 0.01),
        ([0.5, 0.25, 0.0, -1 / 48, 0.0], 0.3),
        ([0.7, 0.5, 0.125, 0.0, -0.02], 0.2),
        ([1.0, 2.0, 3.0, 4.0, 5.0], 0.5),
        ([0.0, 0.0, 1.0, 0.0, 2.0], 2.0),
    ),
    reference=_series,
    mistakes=(
        Mistake(
            lambda c, q: _series(c, q, fourth=1.0),
            "The fourth moment of a Gaussian is 3 q^2, not q^2.",
        ),
        Mistake(
            lambda c, q: _series(c, q, cross=0.0),
            "The squares are there, the products are not: (c_0 + c_1 x + ...)^2 has terms such as "
            "2 c_1 c_3 x^4 too.",
        ),
        Mistake(
            lambda c, q: c[1] ** 2 * q + (2 * c[2] ** 2 + 6 * c[1] * c[3]) * q * q,
            "This is the variance: the square of the mean was subtracted. The next layer sees "
            "the second moment.",
        ),
        Mistake(
            lambda c, q: c[0] ** 2 + c[1] ** 2 * q + 3 * (c[2] ** 2 + 2 * c[1] * c[3]) * q * q,
            "The products with c_0 are missing: 2 c_0 c_2 x^2 and 2 c_0 c_4 x^4. An offset "
            "multiplies every even term.",
        ),
        Mistake(
            lambda c, q: c[1] ** 2 * q + 3 * (c[2] ** 2 + 2 * c[1] * c[3]) * q * q,
            "The offset is missing: c_0^2 stays when q goes to 0, and c_0 multiplies every even "
            "term. Equation (4) was for odd functions.",
        ),
        Mistake(
            lambda c, q: c[1] ** 2 * q + 6 * c[1] * c[3] * q * q,
            "This is equation (4), which was for odd functions: here c_0, c_2 and c_4 count too.",
        ),
        Mistake(
            lambda c, q: c[0] ** 2 + (c[1] ** 2 + 2 * c[0] * c[2]) * q,
            "Only to first order: the terms with q^2 are missing.",
        ),
    ),
    hints=(
        "Multiply the polynomial by itself and collect the powers of x up to x^4; the odd ones "
        "have mean 0.",
        "E[x^2] = q and E[x^4] = 3 q^2. The factor of x^4 is c_2^2 + 2 c_1 c_3 + 2 c_0 c_4.",
    ),
    solution="""
def small_variance_series(c, q):
    second = c[1] ** 2 + 2 * c[0] * c[2]
    fourth = c[2] ** 2 + 2 * c[1] * c[3] + 2 * c[0] * c[4]
    # E[x^2] = q, E[x^4] = 3 q^2, odd moments are 0
    return c[0] ** 2 + second * q + 3 * fourth * q**2
""",
)

# Exercise 3: weights that hold the pre-activations where they are.


def _holding(phi: str, fan_in: int, q: float) -> float:
    return math.sqrt(q / (fan_in * moments(phi, variance=q).second))


HOLDING_STD = Exercise(
    id="03-holding-std",
    title="The standard deviation of the weights that keeps the mean square at q",
    inputs=(
        ("tanh", 100, 1.0),
        ("tanh", 64, 0.25),
        ("relu", 100, 3.0),
        ("sigmoid", 256, 2.0),
        ("scaled_sigmoid", 50, 4.0),
    ),
    reference=_holding,
    mistakes=(
        Mistake(
            lambda phi, n, q: 1 / math.sqrt(n * moments(phi).second),
            "This is the gain over the root of fan-in: it keeps the mean square where it is 1. "
            "At another q an activation passes on another share.",
        ),
        Mistake(
            lambda phi, n, q: q / (n * moments(phi, variance=q).second),
            "This is the variance of the weights: take its square root.",
        ),
        Mistake(
            lambda phi, n, q: 1 / math.sqrt(n * moments(phi, variance=q).derivative_second),
            "This keeps the gradient's mean square, not the signal's.",
        ),
        Mistake(
            lambda phi, n, q: 1 / math.sqrt(n * moments(phi, variance=q).second),
            "With these weights the mean square becomes 1, whatever it was: it was to stay at q.",
        ),
        Mistake(
            lambda phi, n, q: math.sqrt(q / (n * moments(phi, variance=math.sqrt(q)).second)),
            "`variance` is q itself, not its square root.",
        ),
    ),
    hints=(
        "The next mean square is fan_in * std**2 * E[phi(x)^2] with x ~ N(0, q). Set it to q.",
        "std is the root of q / (fan_in * moments(phi, variance=q).second).",
    ),
    solution="""
def holding_std(phi, fan_in, q):
    from d2lstab.theory.activations import moments
    # fan_in * std^2 * E[phi(x)^2] = q for x ~ N(0, q)
    return (q / (fan_in * moments(phi, variance=q).second)) ** 0.5
""",
)

EXERCISES = (STRAIGHT_WEIGHTS, SMALL_VARIANCE, HOLDING_STD, PHASE, *FURTHER)

"""Exercises of lesson 08 on Adam's epsilon and memory: the last of the core, and Further."""

import math

from d2lstab.course.exercise import Exercise, Mistake

__all__ = ["FURTHER"]

EPSILON = Exercise(
    id="08-epsilon",
    title="The largest epsilon that leaves Adam its step",
    inputs=((1e-3, 0.5), (1.0, 0.9), (2.0, 0.99), (20.0, 0.2)),
    reference=lambda g, share: g * (1 - share) / share,
    mistakes=(
        Mistake(
            lambda g, share: g * (1 - share),
            "Set it in: g / (g + eps) is then 1 / (2 - share), not share. Solve for eps and "
            "divide by the share.",
        ),
        Mistake(
            lambda g, share: g * share,
            "A larger share needs a smaller epsilon: this grows with the share.",
        ),
        Mistake(
            lambda g, share: g / share,
            "Here eps alone, not g + eps, is set to g / share. Take g away again.",
        ),
        Mistake(
            lambda g, share: g**2 * (1 / share**2 - 1),
            "This is for an epsilon inside of the root. Adam adds it to the root.",
        ),
        Mistake(
            lambda g, share: g * share / (1 - share),
            "Upside down: for a share close to 1 epsilon has to be tiny.",
        ),
    ),
    hints=(
        "Equation (4): the share is g / (g + eps).",
        "g = share (g + eps). Solve for eps.",
    ),
    solution="""
def largest_epsilon(g, share):
    # g / (g + eps) = share
    return g * (1 - share) / share
""",
    tolerance=1e-9,
)


def _last_square(cycle: list[float], beta2: float) -> float:
    """The v at the end of a cycle that is the v at its start."""
    v = 0.0
    for g in cycle:
        v = beta2 * v + (1 - beta2) * g**2
    return v / (1 - beta2 ** len(cycle))


def _squares(cycle: list[float], beta2: float, v: float) -> list[float]:
    found = []
    for g in cycle:
        v = beta2 * v + (1 - beta2) * g**2
        found.append(v)
    return found


def _amsgrad(cycle: list[float], beta2: float) -> float:
    return -sum(cycle) / math.sqrt(max(_squares(cycle, beta2, _last_square(cycle, beta2))))


def _adam(cycle: list[float], beta2: float) -> float:
    squares = _squares(cycle, beta2, _last_square(cycle, beta2))
    return -sum(g / math.sqrt(v) for g, v in zip(cycle, squares, strict=True))


AMSGRAD_DRIFT = Exercise(
    id="08-amsgrad-drift",
    title="AMSGrad's movement per cycle in the long run",
    inputs=(
        ([3.0, -1.0, -1.0], 0.1),
        ([3.0, -1.0, -1.0], 0.999),
        ([10.0] + [-1.0] * 9, 0.9),
        ([-1.0, 2.0], 0.5),
    ),
    reference=_amsgrad,
    mistakes=(
        Mistake(
            lambda cycle, beta2: -_amsgrad(cycle, beta2),
            "The sign: a positive slope moves x to the left.",
        ),
        Mistake(
            _adam,
            "This is Adam's movement: each slope is divided by the v of its own time. AMSGrad "
            "divides all of them by the largest v there has been.",
        ),
        Mistake(
            lambda cycle, beta2: -sum(cycle) / math.sqrt(max(_squares(cycle, beta2, 0.0))),
            "This takes the largest v of the first cycle, from v = 0. After a long time v begins "
            "each cycle where it ended the last one: run through many cycles.",
        ),
        Mistake(
            lambda cycle, beta2: -sum(cycle) / max(abs(g) for g in cycle),
            "This divides by the largest slope. What AMSGrad keeps is the largest v, a moving "
            "average of squares.",
        ),
        Mistake(
            lambda cycle, beta2: -sum(cycle) / math.sqrt(sum(g * g for g in cycle) / len(cycle)),
            "This divides by the root mean square of the whole cycle. v moves around it within "
            "the cycle, and AMSGrad keeps its largest value.",
        ),
        Mistake(
            lambda cycle, beta2: (
                -sum(cycle) / max(_squares(cycle, beta2, _last_square(cycle, beta2)))
            ),
            "The root is missing: divide by the root of the largest v.",
        ),
    ),
    hints=(
        "Once the largest v has been seen, every slope is divided by the same number. So the "
        "movement per cycle is minus the sum of the slopes over it.",
        "Follow v through so many cycles that it repeats (40 times 1 / (1 - beta2) slopes are "
        "plenty), and keep the largest.",
    ),
    solution="""
def long_run_drift(cycle, beta2):
    v = largest = 0.0
    cycles = math.ceil(40 / (1 - beta2) / len(cycle))
    for _ in range(cycles + 1):  # exp(-40) of the start is left
        for g in cycle:
            v = beta2 * v + (1 - beta2) * g**2
            largest = max(largest, v)
    return -sum(cycle) / math.sqrt(largest)
""",
)


def _reaction(alpha: float, a: float, b: float) -> int:
    band = 0.21 if a > b else 0.19
    share = band * b * b / abs(a * a - b * b) if a != b else 1.0
    return 0 if share >= 1 else math.ceil(math.log(share) / math.log(alpha))


def _of_sizes(alpha: float, a: float, b: float) -> int:
    share = 0.1 * b / abs(a - b) if a != b else 1.0
    return 0 if share >= 1 else math.ceil(math.log(share) / math.log(alpha))


def _tenth_of_jump(alpha: float, a: float, b: float) -> int:
    return 0 if a == b else math.ceil(math.log(0.1) / math.log(alpha))


def _of_squares(alpha: float, a: float, b: float) -> int:
    share = 0.1 * b * b / abs(a * a - b * b) if a != b else 1.0
    return 0 if share >= 1 else math.ceil(math.log(share) / math.log(alpha))


def _downwards_only(alpha: float, a: float, b: float) -> int:
    share = 0.21 * b * b / abs(a * a - b * b) if a != b else 1.0
    return 0 if share >= 1 else math.ceil(math.log(share) / math.log(alpha))


REACTION = Exercise(
    id="08-reaction",
    title="How long RMSProp takes to see a new size of the gradient",
    inputs=(
        (0.99, 10.0, 1.0),
        (0.99, 1.0, 10.0),
        (0.9, 3.0, 2.0),
        (0.99, 1.05, 1.0),
        (0.5, 0.1, 7.0),
    ),
    reference=_reaction,
    mistakes=(
        Mistake(
            _of_sizes,
            "Here sigma itself decays with alpha. It is its square that does.",
        ),
        Mistake(
            _tenth_of_jump,
            "This is when a tenth of the jump is left. Asked is a distance of a tenth of b.",
        ),
        Mistake(
            _of_squares,
            "This is when the square of sigma is within 10 % of the square of b: sigma is then "
            "within about 5 %.",
        ),
        Mistake(
            _downwards_only,
            "From above the border is 1.1 b, so 1.21 b^2. From below it is 0.9 b: 0.81 b^2.",
        ),
        Mistake(
            lambda alpha, a, b: math.ceil(math.log(2) / -math.log(alpha)),
            "This is the half-life of the square, whatever a and b are.",
        ),
    ),
    hints=(
        "After k updates sigma^2 = b^2 + (a^2 - b^2) alpha^k. At which sigma^2 is sigma 1.1 b, "
        "or 0.9 b?",
        "From above alpha^k = 0.21 b^2 / (a^2 - b^2), from below 0.19 b^2 / (b^2 - a^2). Solve "
        "for k and round up; 0 where the right side is 1 or more.",
    ),
    solution="""
def reaction(alpha, a, b):
    k, square = 0, a * a
    while abs(math.sqrt(square) - b) > 0.1 * b:  # equation (2), update by update
        square = alpha * square + (1 - alpha) * b * b
        k += 1
    return k
""",
)

FURTHER = (EPSILON, AMSGRAD_DRIFT, REACTION)

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


def _drift(cycle: list[float], beta2: float) -> float:
    v, total = _last_square(cycle, beta2), 0.0
    for g in cycle:
        v = beta2 * v + (1 - beta2) * g**2
        total -= g / math.sqrt(v)
    return total


def _from_zero(cycle: list[float], beta2: float) -> float:
    v, total = 0.0, 0.0
    for g in cycle:
        v = beta2 * v + (1 - beta2) * g**2
        total -= g / math.sqrt(v)
    return total


def _old_square(cycle: list[float], beta2: float) -> float:
    v, total = _last_square(cycle, beta2), 0.0
    for g in cycle:
        total -= g / math.sqrt(v)
        v = beta2 * v + (1 - beta2) * g**2
    return total


def _amsgrad(cycle: list[float], beta2: float) -> float:
    v, seen = _last_square(cycle, beta2), []
    for g in cycle:
        v = beta2 * v + (1 - beta2) * g**2
        seen.append(v)
    return -sum(cycle) / math.sqrt(max(seen))


DRIFT = Exercise(
    id="08-drift",
    title="Adam's movement per cycle in the long run",
    inputs=(
        ([3.0, -1.0, -1.0], 0.1),
        ([3.0, -1.0, -1.0], 0.999),
        ([10.0] + [-1.0] * 9, 0.9),
        ([-1.0, 2.0], 0.5),
    ),
    reference=_drift,
    mistakes=(
        Mistake(
            lambda cycle, beta2: -_drift(cycle, beta2),
            "The sign: a positive slope moves x to the left.",
        ),
        Mistake(
            _from_zero,
            "This is the first cycle, from v = 0. After a long time v begins each cycle where it "
            "ended the last one: run through many cycles, and sum up the last.",
        ),
        Mistake(
            _old_square,
            "Here each slope is divided by the v before it. Adam takes the new slope into v "
            "first, which is why the large one shrinks itself.",
        ),
        Mistake(
            _amsgrad,
            "This divides by the largest v of the cycle: AMSGrad.",
        ),
        Mistake(
            lambda cycle, beta2: -sum(cycle) / math.sqrt(sum(g * g for g in cycle) / len(cycle)),
            "This divides all slopes by the same root mean square. Adam's v changes within the "
            "cycle, and that is what turns the direction around.",
        ),
    ),
    hints=(
        "Simulate it: forget about x, and follow v through so many cycles that it repeats.",
        "A start is forgotten after a few times 1 / (1 - beta2) slopes; 40 times is plenty. Then "
        "sum -g / sqrt(v) over one more cycle, with v updated first.",
    ),
    solution="""
def long_run_drift(cycle, beta2):
    v = 0.0
    cycles = math.ceil(40 / (1 - beta2) / len(cycle))
    for _ in range(cycles + 1):  # exp(-40) of the start is left
        total = 0.0
        for g in cycle:
            v = beta2 * v + (1 - beta2) * g**2
            total -= g / math.sqrt(v)
    return total  # of the last cycle
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

FURTHER = (EPSILON, DRIFT, REACTION)

"""Exercises of lesson 07: momentum."""

import math

from d2lstab.course.exercise import Exercise, Mistake
from d2lstab.course.exercises.lesson_07_further import FURTHER

__all__ = ["EXERCISES"]


def _memory(beta: float, share: float) -> int:
    return math.ceil(math.log(1 - share) / math.log(beta))


MEMORY = Exercise(
    id="07-memory",
    title="How many of the newest gradients carry a given share of the weight",
    inputs=((0.9, 0.5), (0.9, 0.9), (0.99, 0.95), (0.5, 0.9), (0.8, 0.3)),
    reference=_memory,
    mistakes=(
        Mistake(
            lambda beta, share: round(1 / (1 - beta)),
            "This is the sum of all weights, a rule of thumb for the length of the memory; the "
            "newest gradients up to that age carry only about 63 % of the weight.",
        ),
        Mistake(
            lambda beta, share: math.floor(math.log(1 - share) / math.log(beta)),
            "One gradient too few: with these the share is not reached yet. Round up.",
        ),
        Mistake(
            lambda beta, share: math.log(1 - share) / math.log(beta),
            "The right equation, but a number of gradients is whole: round up.",
        ),
        Mistake(
            lambda beta, share: math.ceil(math.log(share) / math.log(beta)),
            "The newest n carry 1 - beta^n of the weight, the older ones beta^n: you have set "
            "the share of the older ones.",
        ),
        Mistake(
            lambda beta, share: math.ceil(math.log((1 - share) * (1 - beta)) / math.log(beta)),
            "Here a single weight beta^n is compared with what is left over: sum the weights of "
            "all older gradients, and divide by the sum of all.",
        ),
    ),
    hints=(
        "The weights are 1, beta, beta^2, ... from the newest backwards. Sum the first n of "
        "them, and all of them.",
        "The newest n have the share 1 - beta^n. Solve 1 - beta^n = share and round up.",
    ),
    solution="""
def memory(beta, share):
    # (1 + beta + ... + beta^(n-1)) (1 - beta) = 1 - beta^n must reach the share
    return math.ceil(math.log(1 - share) / math.log(beta))
""",
)


def _plateau(momentum: float, curvatures: list[float]) -> tuple[float, float] | str:
    low, high = _both_ends(momentum, curvatures)
    return (low, high) if low <= high else "none"


def _both_ends(momentum: float, curvatures: list[float]) -> tuple[float, float]:
    root = math.sqrt(momentum)
    return (1 - root) ** 2 / min(curvatures), (1 + root) ** 2 / max(curvatures)


def _any_of_them(momentum: float, curvatures: list[float]) -> tuple[float, float]:
    root = math.sqrt(momentum)
    return (1 - root) ** 2 / max(curvatures), (1 + root) ** 2 / min(curvatures)


def _not_squared(momentum: float, curvatures: list[float]) -> tuple[float, float] | str:
    root = math.sqrt(momentum)
    low, high = (1 - root) / min(curvatures), (1 + root) / max(curvatures)
    return (low, high) if low <= high else "none"


PLATEAU = Exercise(
    id="07-plateau",
    title="The rates at which every curvature lies on the plateau",
    inputs=(
        (0.81, [1.0, 100.0]),
        (0.25, [2.0, 4.0, 1.0]),
        (0.5, [3.0, 0.2, 50.0, 10.0]),
        (0.9, [7.0, 100.0, 1.0, 30.0]),
        (0.0, [2.0, 1.0]),
    ),
    reference=_plateau,
    mistakes=(
        Mistake(
            _any_of_them,
            "Between these rates at least one curvature can lie on the plateau. All of them must: "
            "the smallest curvature sets the lowest rate, the largest the highest.",
        ),
        Mistake(
            lambda momentum, curvatures: _plateau(momentum**2, curvatures),
            "Here the square root of the momentum is missing: the plateau (4) reaches from "
            "(1 - sqrt(beta))^2 to (1 + sqrt(beta))^2.",
        ),
        Mistake(
            _not_squared,
            "The ends of the plateau are squares: (1 - sqrt(beta))^2 and (1 + sqrt(beta))^2.",
        ),
        Mistake(
            _both_ends,
            "Where the lowest rate lies above the highest there is no such rate: return the word "
            '"none" then.',
        ),
        Mistake(
            lambda momentum, curvatures: _plateau(momentum, [curvatures[0], curvatures[-1]]),
            "The first and the last curvature are not always the extreme ones: take the smallest "
            "and the largest.",
        ),
    ),
    hints=(
        "By (4) a curvature c lies on the plateau for rates from (1 - sqrt(beta))^2 / c to "
        "(1 + sqrt(beta))^2 / c. Which curvature has the strictest lower end, which the "
        "strictest upper end?",
        "The lowest rate is (1 - sqrt(beta))^2 over the smallest curvature, the highest "
        '(1 + sqrt(beta))^2 over the largest; if the lowest is above the highest, return "none".',
    ),
    solution="""
def plateau_rates(momentum, curvatures):
    root = math.sqrt(momentum)
    low, high = (1 - root) ** 2 / min(curvatures), (1 + root) ** 2 / max(curvatures)
    # the flattest direction needs a rate of at least low, the steepest one of at most high
    return (low, high) if low <= high else "none"
""",
)


def _verdict(stable: bool) -> str:
    return "converges" if stable else "diverges"


def _runs(curvatures: list[float], lr: float, momentum: float) -> str:
    stable = min(curvatures) > 0 and lr * max(curvatures) < 2 * (1 + momentum)
    return _verdict(stable)


VERDICT = Exercise(
    id="07-verdict",
    title="Does heavy ball converge on this surface?",
    inputs=(
        ([1.0, 10.0], 0.35, 0.9),
        ([1.0, 10.0], 0.35, 0.5),
        ([1.0, 10.0], 0.1, 0.9),
        ([-0.1, 1.0], 0.1, 0.9),
        ([0.5, 4.0, 30.0], 0.12, 0.9),
        ([0.5, 4.0, 30.0], 0.13, 0.9),
        ([2.0, 0.1], 1.2, 0.0),
    ),
    reference=_runs,
    mistakes=(
        Mistake(
            lambda c, lr, momentum: _verdict(min(c) > 0 and lr * max(c) < 2),
            "This is the limit of gradient descent: momentum widens the stable range.",
        ),
        Mistake(
            lambda c, lr, momentum: _verdict(min(c) > 0 and lr * max(c) < 2 * (1 - momentum)),
            "You have put the effective rate lr / (1 - beta) into the limit of gradient descent. "
            "That rate holds for a gradient that stays the same; near the limit it changes its "
            "sign at every step.",
        ),
        Mistake(
            lambda c, lr, momentum: _verdict(lr * max(c) < 2 * (1 + momentum)),
            "The limit is right. But one of the surfaces curves downwards in a direction: there "
            "no rate converges.",
        ),
        Mistake(
            lambda c, lr, momentum: _verdict(min(c) > 0 and lr * min(c) < 2 * (1 + momentum)),
            "The largest curvature decides, not the smallest: one unstable direction is enough.",
        ),
        Mistake(
            lambda c, lr, momentum: _verdict(
                min(c) > 0 and lr * max(c) * (1 - momentum) < 2 * (1 + momentum)
            ),
            "This is the limit of the moving average (EMA), whose gradients carry a factor "
            "1 - beta. Heavy ball has no such factor.",
        ),
    ),
    hints=(
        "Every direction must converge on its own. Which two curvatures are the dangerous ones?",
        'Return "converges" if the smallest curvature is positive and lr times the largest is '
        'below 2 (1 + beta), otherwise "diverges".',
    ),
    solution="""
def verdict(curvatures, lr, momentum):
    # one direction that diverges is enough: the steepest, or any that curves downwards
    stable = min(curvatures) > 0 and lr * max(curvatures) < 2 * (1 + momentum)
    return "converges" if stable else "diverges"
""",
)


EXERCISES = (MEMORY, PLATEAU, VERDICT, *FURTHER)

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


def _best(curvatures: list[float]) -> tuple[float, float]:
    low, high = math.sqrt(min(curvatures)), math.sqrt(max(curvatures))
    return (2 / (high + low)) ** 2, ((high - low) / (high + low)) ** 2


def _root_of_best(curvatures: list[float]) -> tuple[float, float]:
    lr, momentum = _best(curvatures)
    return lr, math.sqrt(momentum)


def _without_roots(curvatures: list[float]) -> tuple[float, float]:
    low, high = min(curvatures), max(curvatures)
    return (2 / (high + low)) ** 2, ((high - low) / (high + low)) ** 2


BEST_SETTING = Exercise(
    id="07-best-setting",
    title="The best rate and momentum for given curvatures",
    inputs=(
        ([1.0, 9.0],),
        ([4.0, 0.25, 1.0],),
        ([0.2, 4.0],),
        ([3.0, 50.0, 0.5, 10.0],),
    ),
    reference=_best,
    mistakes=(
        Mistake(
            _root_of_best,
            "The rate is right. Every direction shrinks by the square root of beta: what you "
            "return as the momentum is that contraction, so square it.",
        ),
        Mistake(
            lambda curvatures: (2 / (max(curvatures) + min(curvatures)), _best(curvatures)[1]),
            "The momentum is right, but this rate is gradient descent's best one. Heavy ball's "
            "is larger: solve both equations for the root of the rate.",
        ),
        Mistake(
            _without_roots,
            "Here the square roots are missing: the two equations hold for the square roots of "
            "rate times curvature.",
        ),
        Mistake(
            lambda curvatures: (
                _best([curvatures[0], curvatures[-1]])
                if curvatures[0] < curvatures[-1]
                else _best([curvatures[-1], curvatures[0]])
            ),
            "The first and the last curvature are not always the extreme ones: take the smallest "
            "and the largest.",
        ),
    ),
    hints=(
        "Only the smallest curvature mu and the largest L matter: they sit at the two ends of "
        "the plateau, lr * mu = (1 - sqrt(beta))^2 and lr * L = (1 + sqrt(beta))^2.",
        "Take square roots and add the two equations: sqrt(lr) (sqrt(L) + sqrt(mu)) = 2. "
        "Subtract them for sqrt(beta).",
    ),
    solution="""
def best_setting(curvatures):
    low, high = math.sqrt(min(curvatures)), math.sqrt(max(curvatures))
    # sqrt(lr) low = 1 - sqrt(beta) and sqrt(lr) high = 1 + sqrt(beta)
    return (2 / (high + low)) ** 2, ((high - low) / (high + low)) ** 2
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


def _variance(lr: float, curvature: float, momentum: float) -> float:
    limit = 2 * (1 + momentum)
    return lr * (1 + momentum) / (curvature * (1 - momentum) * (limit - lr * curvature))


def _same_noise(lr: float, curvature: float, momentum: float) -> float:
    wanted = _variance(lr, curvature, 0.0) * curvature * (1 - momentum)
    return 2 * (1 + momentum) * wanted / (1 + momentum + wanted * curvature)


SAME_NOISE = Exercise(
    id="07-same-noise",
    title="The rate with momentum that keeps the noise of gradient descent",
    inputs=((0.1, 1.0, 0.9), (0.5, 2.0, 0.5), (1.0, 1.5, 0.9), (0.2, 4.0, 0.0)),
    reference=_same_noise,
    mistakes=(
        Mistake(
            lambda lr, curvature, momentum: lr,
            "With the rate unchanged the variance grows by about 1 / (1 - beta): that was the "
            "last guess.",
        ),
        Mistake(
            lambda lr, curvature, momentum: lr * (1 - momentum),
            "Nearly: this is right in the limit of small lr * curvature, where only the "
            "effective rate counts. The exact answer was asked for: keep the second factor.",
        ),
        Mistake(
            lambda lr, curvature, momentum: lr / (1 - momentum),
            "The wrong way round: momentum makes the steps longer, so the rate has to become "
            "smaller.",
        ),
        Mistake(
            lambda lr, curvature, momentum: lr * (1 - momentum) / (1 + momentum),
            "The factor (1 + beta) stands in the numerator of the variance, but also in its "
            "denominator, where it nearly cancels: set the two variances equal and solve.",
        ),
    ),
    hints=(
        "Write equation (6) twice, once with the unknown rate and beta, once with the given rate "
        "and beta = 0, and set them equal. Noise and batch size cancel.",
        "With u = rate * curvature and u0 for the given one: u (1 + beta) (2 - u0) = "
        "u0 (1 - beta) (2 (1 + beta) - u), which is linear in u.",
    ),
    solution="""
def same_noise(lr, curvature, momentum):
    # u (1 + b) (2 - u0) = u0 (1 - b) (2 (1 + b) - u), with u = rate * curvature
    u0, b = lr * curvature, momentum
    u = 2 * u0 * (1 - b) * (1 + b) / ((1 + b) * (2 - u0) + u0 * (1 - b))
    return u / curvature
""",
)


EXERCISES = (MEMORY, BEST_SETTING, VERDICT, SAME_NOISE, *FURTHER)

"""Exercises of lesson 09: schedules and warm-up."""

import math

from d2lstab.course.exercise import Exercise, Mistake

__all__ = ["EXERCISES"]

NOISE_BALL = Exercise(
    id="09-noise-ball",
    title="The rate that divides the distance of the noise around the minimum by k",
    inputs=((2.0,), (10.0,), (1.0,), (3.0,)),
    reference=lambda k: 1 / k**2,
    mistakes=(
        Mistake(
            lambda k: 1 / k,
            "The variance is proportional to the rate, not the distance: a standard deviation "
            "is the root of a variance.",
        ),
        Mistake(
            lambda k: k**-0.5,
            "The root went the wrong way: the distance goes like the root of the rate, so the "
            "rate goes like the square of the distance.",
        ),
        Mistake(
            lambda k: 1 / k**4,
            "Squared twice: the variance is proportional to the rate itself.",
        ),
        Mistake(
            lambda k: k**2,
            "By this number the rate is to be divided. Asked is the number by which it is "
            "multiplied.",
        ),
    ),
    hints=(
        "The variance around the minimum is proportional to the rate.",
        "The distance is the root of the variance: rate factor = (distance factor) squared.",
    ),
    solution="""
def rate_factor(k):
    return 1 / k**2
""",
)


def _first_step(g: list[float], curvatures: list[float], lr: float) -> float:
    return math.fsum(
        lr**2 * c / 2 - lr * abs(x) for x, c in zip(g, curvatures, strict=True) if x != 0
    )


FIRST_STEP = Exercise(
    id="09-first-step",
    title="What Adam's first step makes of a parabola",
    inputs=(
        ([3.0, -4.0], [0.0, 0.0], 0.1),
        ([3.0, -4.0], [10.0, 200.0], 0.1),
        ([1e-6, 0.0, -2e-6], [1.0, 50.0, 2.0], 0.01),
        ([-1.0], [4.0], 1.0),
    ),
    reference=_first_step,
    mistakes=(
        Mistake(
            lambda g, curvatures, lr: -lr * math.fsum(abs(x) for x in g),
            "This is what a plane would give. The parabola adds half its curvature times the "
            "square of the move, in each weight.",
        ),
        Mistake(
            lambda g, curvatures, lr: -_first_step(g, curvatures, lr),
            "The sign: asked is the loss afterwards minus the loss before; it is negative where it "
            "falls.",
        ),
        Mistake(
            lambda g, curvatures, lr: math.fsum(
                lr**2 * c - lr * abs(x) for x, c in zip(g, curvatures, strict=True) if x != 0
            ),
            "The half is missing: along a parabola the loss changes by slope times move plus half "
            "the curvature times the move squared.",
        ),
        Mistake(
            lambda g, curvatures, lr: math.fsum(
                lr**2 * c / 2 - lr * abs(x) for x, c in zip(g, curvatures, strict=True)
            ),
            "A weight whose gradient is 0 does not move, however curved the loss is in it.",
        ),
        Mistake(
            lambda g, curvatures, lr: math.fsum(
                (lr * x) ** 2 * c / 2 - lr * x * x for x, c in zip(g, curvatures, strict=True)
            ),
            "This is gradient descent, whose step is rate times gradient. Adam's first step has "
            "the size of the rate in every weight.",
        ),
    ),
    hints=(
        "Adam's first step moves each weight by -lr times the sign of its gradient.",
        "Along a parabola a move u changes the loss by g u + c u^2 / 2. Sum up over the weights.",
    ),
    solution="""
def first_change(g, curvatures, lr):
    total = 0.0
    for slope, c in zip(g, curvatures):
        if slope != 0:  # a gradient of 0 moves nothing
            total += -lr * abs(slope) + c * lr**2 / 2
    return total
""",
    tolerance=1e-9,
)


def _warmup_then_root(step: int, peak: float, warmup: int) -> float:
    return peak * min((step + 1) / warmup, math.sqrt(warmup / (step + 1)))


WARMUP_THEN_ROOT = Exercise(
    id="09-warmup-then-root",
    title="Up in a line, down with the root, without a jump",
    inputs=((0, 1.0, 10), (9, 1.0, 10), (39, 1.0, 10), (3, 0.5, 4), (4, 0.5, 4), (99, 2.0, 1)),
    reference=_warmup_then_root,
    mistakes=(
        Mistake(
            lambda step, peak, warmup: peak * min(step / warmup, math.sqrt(warmup / max(step, 1))),
            "Off by one: at step 0 the rate is peak / warmup, not 0, so that no update is wasted.",
        ),
        Mistake(
            lambda step, peak, warmup: (
                peak * (step + 1) / warmup if step < warmup else peak / math.sqrt(step + 1)
            ),
            "There is a jump where the line ends: scale the root so that it starts at the peak.",
        ),
        Mistake(
            lambda step, peak, warmup: (
                peak * (step + 1) / warmup if step < warmup else peak / math.sqrt(step - warmup + 2)
            ),
            "No jump, but the root counts its steps from the peak. It is to fall like "
            "1 / sqrt(step + 1), all steps counted.",
        ),
        Mistake(
            lambda step, peak, warmup: (
                peak * max((step + 1) / warmup, math.sqrt(warmup / (step + 1)))
            ),
            "The larger of the two: it starts above the peak and never stops rising. Take the "
            "smaller one.",
        ),
        Mistake(
            lambda step, peak, warmup: peak * min((step + 1) / warmup, 1.0),
            "The way up is right, but then the rate has to fall.",
        ),
    ),
    hints=(
        "Count updates from 1: s = step + 1. The line is peak * s / warmup.",
        "The root that meets it at s = warmup is peak * sqrt(warmup / s). Take the smaller one.",
    ),
    solution="""
def warmup_then_root(step, peak, warmup):
    s = step + 1
    return peak * min(s / warmup, math.sqrt(warmup / s))
""",
)


def _length(t: int, beta2: float) -> float:
    decay = beta2**t
    return 2 / (1 - beta2) - 1 - 2 * t * decay / (1 - decay)


def _first(beta2: float, above: float) -> int | str:
    return next((t for t in range(1, 101) if _length(t, beta2) > above), "never")


FIRST_RECTIFIED = Exercise(
    id="09-first-rectified",
    title='The first step at which rho exceeds 5, or the word "never"',
    inputs=((0.999,), (0.9,), (0.5,), (0.99,), (0.7,)),
    reference=lambda beta2: _first(beta2, 5.0),
    mistakes=(
        Mistake(
            lambda beta2: _first(beta2, 4.0),
            "This is the paper's threshold, 4. The question, and torch, ask for rho above 5.",
        ),
        Mistake(
            lambda beta2: found - 1 if isinstance(found := _first(beta2, 5.0), int) else found,
            "One too small: the formula counts the steps from 1, range(...) from 0.",
        ),
        Mistake(
            lambda beta2: 6,
            "Right for 0.999. For a shorter memory rho grows more slowly, and for a short one "
            "it never gets there.",
        ),
    ),
    hints=(
        "Try t = 1, 2, ..., 100 and return the first with radam_length(t, beta2) > 5.",
        'For beta2 = 0.5, rho stays below 3: return the word "never" after 100 steps.',
    ),
    solution="""
from d2lstab.theory.adaptive import radam_length


def first_rectified_step(beta2):
    for t in range(1, 101):
        if radam_length(t, beta2) > 5:
            return t
    return "never"
""",
)

DECAY_STEPS = Exercise(
    id="09-decay-steps",
    title="Steps until an exponential schedule has fallen to a share of its start",
    inputs=((0.99, 0.1), (0.5, 0.25), (0.9, 0.5), (0.999, 0.01)),
    reference=lambda gamma, share: math.ceil(round(math.log(share) / math.log(gamma), 9)),
    mistakes=(
        Mistake(
            lambda gamma, share: math.floor(round(math.log(share) / math.log(gamma), 9)),
            "Rounded down: at that step the rate is still above the share. Round up.",
        ),
        Mistake(
            lambda gamma, share: math.log(share) / math.log(gamma),
            "The right equation, but steps are whole numbers: round up.",
        ),
        Mistake(
            lambda gamma, share: math.ceil(round((1 - share) / (1 - gamma), 9)),
            "This would be a straight line. An exponential loses the same *factor* every step.",
        ),
    ),
    hints=("After n steps the rate is gamma**n times its start.", "Take logarithms, and round up."),
    solution="""
def steps_to_share(gamma, share):
    steps = 0
    rate = 1.0
    while rate > share * (1 + 1e-12):
        rate, steps = rate * gamma, steps + 1
    return steps
""",
)

EXERCISES = (NOISE_BALL, FIRST_STEP, WARMUP_THEN_ROOT, FIRST_RECTIFIED, DECAY_STEPS)

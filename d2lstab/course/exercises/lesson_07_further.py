"""Exercises of lesson 07's further part: noise, conventions, and Nesterov's look ahead."""

from itertools import pairwise

from d2lstab.course.exercise import Exercise, Mistake

__all__ = ["FURTHER"]


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
            "guess of section 6.",
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


def _torch_steps(gradients: list[float], rates: list[float], beta: float) -> list[float]:
    steps, buffer = [], 0.0
    for g, lr in zip(gradients, rates, strict=True):
        buffer = beta * buffer + g
        steps.append(-lr * buffer)
    return steps


def _lecture_rates(
    gradients: list[float], rates: list[float], beta: float, kept: float | None = None
) -> list[float]:
    steps = _torch_steps(gradients, rates, beta)
    keep = beta if kept is None else kept
    return [
        (keep * before - step) / g
        for before, step, g in zip([0.0, *steps[:-1]], steps, gradients, strict=True)
    ]


LECTURE_RATES = Exercise(
    id="07-lecture-rates",
    title="The rates with which the lecture's momentum makes PyTorch's steps",
    inputs=(
        ([1.0, 1.0, 1.0, 1.0], [0.1, 0.1, 0.01, 0.01], 0.9),
        ([3.0, -1.0, 2.0], [0.2, 0.1, 0.05], 0.5),
        ([1.0, 2.0, 0.5, -4.0], [0.1, 0.2, 0.4, 0.8], 0.8),
    ),
    reference=_lecture_rates,
    mistakes=(
        Mistake(
            lambda gradients, rates, beta: list(rates),
            "With the same rates both conventions agree only while the rate is constant. Where "
            "it changes, the lecture's memory still holds the old one.",
        ),
        Mistake(
            lambda gradients, rates, beta: [-r for r in _lecture_rates(gradients, rates, beta)],
            "The sign is turned: the lecture's step is beta times the last step, minus rate "
            "times gradient.",
        ),
        Mistake(
            lambda gradients, rates, beta: _lecture_rates(gradients, rates, beta, kept=1.0),
            "The lecture's memory carries over beta times the last step, not all of it.",
        ),
        Mistake(
            lambda gradients, rates, beta: _lecture_rates(gradients, rates, beta, kept=0.0),
            "These rates make PyTorch's steps without a memory. The lecture's ball also rolls "
            "on: it brings beta times the last step along.",
        ),
        Mistake(
            lambda gradients, rates, beta: [
                rate * g
                for rate, g in zip(_lecture_rates(gradients, rates, beta), gradients, strict=True)
            ],
            "This is rate times gradient: divide by the gradient of the step.",
        ),
    ),
    hints=(
        "First the steps that PyTorch makes: buffer = beta * buffer + g, step = -lr * buffer. "
        "Then solve the lecture's rule (1) for its rate, with the last two of these steps.",
        "(1) says step = beta * last_step - rate * g, so rate = (beta * last_step - step) / g; "
        "before the first step last_step is 0.",
    ),
    solution="""
def lecture_rates(gradients, rates, beta):
    buffer, last_step, found = 0.0, 0.0, []
    for g, lr in zip(gradients, rates):
        buffer = beta * buffer + g
        step = -lr * buffer  # PyTorch's
        found.append((beta * last_step - step) / g)  # (1), solved for the rate
        last_step = step
    return found
""",
)


def _places(ahead: list[float], beta: float) -> list[float]:
    places = ahead[:1]
    for theta in ahead[1:]:
        places.append((theta + beta * places[-1]) / (1 + beta))
    return places


def _minus_their_movement(ahead: list[float], beta: float) -> list[float]:
    moved = [after - before for before, after in pairwise(ahead)]
    return ahead[:1] + [x - beta * m for x, m in zip(ahead[1:], moved, strict=True)]


def _turned(ahead: list[float], beta: float) -> list[float]:
    places = ahead[:1]
    for theta in ahead[1:]:
        places.append((theta - beta * places[-1]) / (1 - beta))
    return places


def _one_step_late(ahead: list[float], beta: float) -> list[float]:
    return ahead[:1] + [(after + beta * before) / (1 + beta) for before, after in pairwise(ahead)]


NESTEROV_PLACES = Exercise(
    id="07-nesterov-places",
    title="Where Nesterov's ball is, from PyTorch's parameters",
    inputs=(
        ([1.0, 0.81, 0.5, 0.2], 0.9),
        ([2.0, -1.0, 0.5], 0.5),
        ([3.0], 0.9),
        ([-1.0, 0.0, 1.0, 1.5, 1.0], 0.8),
    ),
    reference=_places,
    mistakes=(
        Mistake(
            lambda ahead, beta: list(ahead),
            "These are the points ahead, x + beta m, as PyTorch stores them. Take beta m away.",
        ),
        Mistake(
            _minus_their_movement,
            "You took away beta times the movement of the points ahead. The movement m is the "
            "ball's own, from its last place to its new one.",
        ),
        Mistake(
            _turned,
            "The sign is turned: the point ahead lies beyond x, at x + beta (x - last x), in "
            "which x stands 1 + beta times.",
        ),
        Mistake(
            _one_step_late,
            "The right equation, but with the last point *ahead* where the ball's last *place* "
            "belongs.",
        ),
    ),
    hints=(
        "The ball moves by m = x - last_x. Write the point ahead with x and last_x alone.",
        "ahead = x + beta * (x - last_x), so x = (ahead + beta * last_x) / (1 + beta); the first "
        "place is the first point ahead.",
    ),
    solution="""
def nesterov_places(ahead, beta):
    places = [ahead[0]]  # at rest the point ahead is the place itself
    for theta in ahead[1:]:
        # theta = x + beta (x - last x), solved for x
        places.append((theta + beta * places[-1]) / (1 + beta))
    return places
""",
)


FURTHER = (SAME_NOISE, LECTURE_RATES, NESTEROV_PLACES)

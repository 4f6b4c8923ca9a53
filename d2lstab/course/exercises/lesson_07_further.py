"""Exercises of lesson 07's further part: conventions, and Nesterov's look ahead."""

from d2lstab.course.exercise import Exercise, Mistake

__all__ = ["FURTHER"]


def _torch_steps(gradients: list[float], rates: list[float], beta: float) -> list[float]:
    steps, buffer = [], 0.0
    for g, lr in zip(gradients, rates, strict=True):
        buffer = beta * buffer + g
        steps.append(-lr * buffer)
    return steps


def _lectures_steps(gradients: list[float], rates: list[float], beta: float) -> list[float]:
    steps, moved = [], 0.0
    for g, lr in zip(gradients, rates, strict=True):
        moved = beta * moved - lr * g
        steps.append(moved)
    return steps


def _averaged(gradients: list[float], rates: list[float], beta: float) -> list[float]:
    return [(1 - beta) * step for step in _torch_steps(gradients, rates, beta)]


TORCH_STEPS = Exercise(
    id="07-torch-steps",
    title="The steps that PyTorch makes while the rate changes",
    inputs=(
        ([1.0, 1.0, 1.0, 1.0], [0.1, 0.1, 0.01, 0.01], 0.9),
        ([3.0, -1.0, 2.0], [0.2, 0.1, 0.05], 0.5),
        ([1.0, 0.0, 0.0, 0.0], [0.0, 0.5, 1.0, 0.0], 0.8),
    ),
    reference=_torch_steps,
    mistakes=(
        Mistake(
            _lectures_steps,
            "This is the lecture's convention, with the rate inside of the memory. PyTorch "
            "remembers plain gradients, and multiplies all of them by today's rate.",
        ),
        Mistake(
            lambda gradients, rates, beta: [-s for s in _torch_steps(gradients, rates, beta)],
            "The sign is turned: a step goes against the gradients.",
        ),
        Mistake(
            _averaged,
            "Here the gradients enter with a factor 1 - beta, as in Adam. PyTorch's SGD adds "
            "them with weight 1 (unless dampening is set).",
        ),
        Mistake(
            lambda gradients, rates, beta: [
                -lr * g for g, lr in zip(gradients, rates, strict=True)
            ],
            "This is gradient descent: nothing is remembered from one step to the next.",
        ),
    ),
    hints=(
        "Keep one number from step to step: the decaying sum of the plain gradients.",
        "buffer = beta * buffer + g, then the step is -lr * buffer with the rate of this step.",
    ),
    solution="""
def torch_steps(gradients, rates, beta):
    steps, buffer = [], 0.0
    for g, lr in zip(gradients, rates):
        buffer = beta * buffer + g  # no rate in the memory
        steps.append(-lr * buffer)
    return steps
""",
)


def _look_ahead(curvature: float, lr: float, beta: float, steps: int) -> list[float]:
    x, moved, path = 1.0, 0.0, [1.0]
    for _ in range(steps):
        moved = beta * moved - lr * curvature * (x + beta * moved)
        x += moved
        path.append(x)
    return path


def _heavy_ball(curvature: float, lr: float, beta: float, steps: int) -> list[float]:
    x, moved, path = 1.0, 0.0, [1.0]
    for _ in range(steps):
        moved = beta * moved - lr * curvature * x
        x += moved
        path.append(x)
    return path


def _points_ahead(curvature: float, lr: float, beta: float, steps: int) -> list[float]:
    x, moved, path = 1.0, 0.0, [1.0]
    for _ in range(steps):
        moved = beta * moved - lr * curvature * (x + beta * moved)
        x += moved
        path.append(x + beta * moved)
    return path


def _far_ahead(curvature: float, lr: float, beta: float, steps: int) -> list[float]:
    x, moved, path = 1.0, 0.0, [1.0]
    for _ in range(steps):
        moved = beta * moved - lr * curvature * (x + moved)
        x += moved
        path.append(x)
    return path


def _forgetful(curvature: float, lr: float, beta: float, steps: int) -> list[float]:
    x, moved, path = 1.0, 0.0, [1.0]
    for _ in range(steps):
        moved = -lr * curvature * (x + beta * moved)
        x += moved
        path.append(x)
    return path


NESTEROV_PATH = Exercise(
    id="07-nesterov",
    title="Nesterov's descent on a parabola",
    inputs=((1.0, 0.1, 0.9, 4), (2.0, 0.5, 0.5, 5), (10.0, 0.13, 0.9, 6)),
    reference=_look_ahead,
    mistakes=(
        Mistake(
            _heavy_ball,
            "This is heavy ball: the gradient is taken where the ball is. Nesterov takes it "
            "where the momentum is about to carry it.",
        ),
        Mistake(
            _points_ahead,
            "These are the points at which the next gradients will be taken, x + beta m. They "
            "are what PyTorch calls the parameters; the question asks for x itself.",
        ),
        Mistake(
            _far_ahead,
            "You look one full step ahead, to x + m. The momentum carries only beta m further.",
        ),
        Mistake(
            _forgetful,
            "The look ahead is right, but the new movement forgets the old one: "
            "beta times the last movement has to be added.",
        ),
    ),
    hints=(
        "Two variables: the place x and the last movement m. Where does the momentum alone "
        "carry x in the next step?",
        "ahead = x + beta * m; m = beta * m - lr * curvature * ahead; x = x + m.",
    ),
    solution="""
def nesterov_path(curvature, lr, beta, steps):
    x, m, path = 1.0, 0.0, [1.0]
    for _ in range(steps):
        ahead = x + beta * m  # where the momentum is about to carry it
        m = beta * m - lr * curvature * ahead
        x = x + m
        path.append(x)
    return path
""",
)


FURTHER = (TORCH_STEPS, NESTEROV_PATH)

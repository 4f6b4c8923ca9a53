"""Exercises of lesson 05: the Hessian and saddle points."""

from d2lstab.course.exercise import Exercise, Mistake
from d2lstab.course.exercises.lesson_05_further import FURTHER, TRIAGE

__all__ = ["EXERCISES"]

Matrix = list[list[float]]


def _symmetric(a: float, mixed: float, b: float) -> Matrix:
    return [[float(a), float(mixed)], [float(mixed), float(b)]]


def _hessian(w1: float, w2: float, x: float, y: float) -> Matrix:
    return _symmetric(2 * w2**2 * x**2, 4 * w1 * w2 * x**2 - 2 * x * y, 2 * w1**2 * x**2)


PRODUCT_HESSIAN = Exercise(
    id="05-product-hessian",
    title="The Hessian of (y - w1 w2 x)^2",
    inputs=(
        (0.0, 0.0, 1.0, 1.0),
        (2.0, 0.5, 1.0, 1.0),
        (1.0, -1.0, 2.0, 3.0),
        (0.3, 2.0, -1.0, 0.5),
    ),
    reference=_hessian,
    mistakes=(
        Mistake(
            lambda w1, w2, x, y: _symmetric(2 * w2**2 * x**2, 2 * w1 * w2 * x**2, 2 * w1**2 * x**2),
            "The residual's own curvature is missing off the diagonal: this is 2 J^T J, right only "
            "where the fit is perfect. Differentiate -2 (y - w1 w2 x) w2 x by w2, both factors.",
        ),
        Mistake(
            lambda w1, w2, x, y: _hessian(w1, w2, 1.0, 1.0),
            "This is the Hessian for x = y = 1: carry the data along.",
        ),
        Mistake(
            lambda w1, w2, x, y: [[v / 2 for v in row] for row in _hessian(w1, w2, x, y)],
            "Half of it: the square has no factor 1/2 in front, so its derivative brings down a 2.",
        ),
        Mistake(
            lambda w1, w2, x, y: _hessian(w2, w1, x, y),
            "The diagonal is the wrong way round: bending along w1 is due to the size of w2.",
        ),
    ),
    hints=(
        "Begin with the gradient: dL/dw1 = -2 (y - w1 w2 x) w2 x, and its mirror image.",
        "Off the diagonal use the product rule: -2 x y + 4 w1 w2 x^2.",
    ),
    solution="""
def product_hessian(w1, w2, x, y):
    mixed = 4 * w1 * w2 * x**2 - 2 * x * y  # product rule: both factors contain w2
    return [[2 * w2**2 * x**2, mixed], [mixed, 2 * w1**2 * x**2]]
""",
)

BEST_DROP = Exercise(
    id="05-best-drop",
    title="How far the quadratic model falls within a radius of a critical point",
    inputs=(
        ([-2.0, 2.0], 0.1),
        ([1.0, 3.0], 0.5),
        ([4.0, -1.0, -0.5], 2.0),
        ([0.0, 4.0], 1.0),
        ([-0.2, 5.0], 0.3),
    ),
    reference=lambda eigenvalues, radius: min(0.0, 0.5 * min(eigenvalues) * radius**2),
    mistakes=(
        Mistake(
            lambda eigenvalues, radius: min(0.0, min(eigenvalues) * radius**2),
            "The factor 1/2 of the Taylor expansion is missing.",
        ),
        Mistake(
            lambda eigenvalues, radius: min(0.0, 0.5 * min(eigenvalues) * radius),
            "The step enters squared: at a critical point there is no linear term.",
        ),
        Mistake(
            lambda eigenvalues, radius: 0.5 * min(eigenvalues) * radius**2,
            "Where every eigenvalue is positive the best step is none at all: the answer is 0.",
        ),
        Mistake(
            lambda eigenvalues, radius: -0.5 * max(abs(v) for v in eigenvalues) * radius**2,
            "The largest eigenvalue in magnitude may be a positive one, and that leads uphill: "
            "take the smallest in the order of the numbers.",
        ),
    ),
    hints=(
        "With no gradient the model is v^T H v / 2. Along which unit vector is it smallest?",
        "Along the eigenvector of the smallest eigenvalue: 1/2 * smallest * radius^2, if negative.",
    ),
    solution="""
def best_drop(eigenvalues, radius):
    # v^T H v / 2 is smallest along the lowest eigenvector; standing still gives 0
    return min(0.0, 0.5 * min(eigenvalues) * radius**2)
""",
)


Coordinates = list[float]


def _first_smallest(values: list[float]) -> int:
    return values.index(min(values))


def _along(eigenvalues: Coordinates, start: Coordinates, lr: float, t: int) -> Coordinates:
    return [c * (1 - lr * e) ** t for e, c in zip(eigenvalues, start, strict=True)]


def _quietest(eigenvalues: Coordinates, coordinates: Coordinates, lr: float, steps: int) -> int:
    sizes = []
    for t in range(steps + 1):
        now = _along(eigenvalues, coordinates, lr, t)
        sizes.append(sum((e * c) ** 2 for e, c in zip(eigenvalues, now, strict=True)))
    return _first_smallest(sizes)


def _closest(eigenvalues: Coordinates, coordinates: Coordinates, lr: float, steps: int) -> int:
    points = [_along(eigenvalues, coordinates, lr, t) for t in range(steps + 1)]
    return _first_smallest([sum(c**2 for c in point) for point in points])


def _lowest(eigenvalues: Coordinates, coordinates: Coordinates, lr: float, steps: int) -> int:
    points = [_along(eigenvalues, coordinates, lr, t) for t in range(steps + 1)]
    return _first_smallest(
        [sum(e * c**2 for e, c in zip(eigenvalues, point, strict=True)) for point in points]
    )


QUIETEST_STEP = Exercise(
    id="05-quietest-step",
    title="The step at which a run past a saddle has its smallest gradient",
    inputs=(
        ([-2.0, 2.0], [1e-4, 1.0], 0.01, 400),
        ([-0.1, 1.0], [1e-3, 1.0], 0.5, 60),
        ([0.5, 2.0], [1.0, 1.0], 0.1, 20),
        ([-3.0, 0.5], [1e-2, 1e-3], 1.0, 10),
        ([-1.0, 0.3, 4.0], [1e-6, 0.1, 2.0], 0.2, 100),
        ([-0.2, 3.0], [0.1, 1.0], 0.25, 30),
    ),
    reference=_quietest,
    mistakes=(
        Mistake(
            _closest,
            "This is the step nearest to the saddle. A gradient is a coordinate *times* its "
            "eigenvalue: the steep directions count for more.",
        ),
        Mistake(
            _lowest,
            "This is the step of the lowest loss. Past a saddle the loss falls on, and the "
            "gradient grows again.",
        ),
        Mistake(
            lambda eigenvalues, coordinates, lr, steps: _quietest(
                [abs(e) for e in eigenvalues], coordinates, lr, steps
            ),
            "A step along a negative eigenvalue multiplies the coordinate by 1 + lr |eigenvalue|: "
            "it grows. Do not take the magnitude.",
        ),
        Mistake(
            lambda eigenvalues, coordinates, lr, steps: (
                _quietest(eigenvalues, coordinates, lr, steps) + 1
            ),
            "One too many: the start itself is step 0.",
        ),
        Mistake(
            lambda eigenvalues, coordinates, lr, steps: _quietest(
                eigenvalues, coordinates, lr, steps - 1
            ),
            "The last step is missing: there are steps + 1 points to look at.",
        ),
    ),
    hints=(
        "After t steps coordinate i is c_i (1 - lr * e_i)**t, each on its own.",
        "The squared norm of the gradient is the sum of (e_i c_i)**2: compute it for t = 0 ... "
        "steps and return the first t at which it is smallest.",
    ),
    solution="""
def quietest_step(eigenvalues, coordinates, lr, steps):
    def squared_norm(t):
        pairs = zip(eigenvalues, coordinates)
        return sum((e * c * (1 - lr * e) ** t) ** 2 for e, c in pairs)

    return min(range(steps + 1), key=squared_norm)  # min takes the first of equals
""",
)


def _down(eigenvalues: list[float], relative: float) -> float:
    threshold = relative * max(abs(v) for v in eigenvalues)
    return sum(v < -threshold for v in eigenvalues) / len(eigenvalues)


def _without_zeros(eigenvalues: list[float], relative: float) -> float:
    threshold = relative * max(abs(v) for v in eigenvalues)
    clear = [v for v in eigenvalues if abs(v) > threshold]
    return sum(v < 0 for v in clear) / len(clear)


SHARE_DOWN = Exercise(
    id="05-share-down",
    title="The share of directions that really lead down",
    inputs=(
        ([-1.0, -1e-9, 0.0, 1e-9, 2.0], 1e-3),
        ([-5.0, -0.004, 0.1, 3.0], 1e-3),
        ([-1e-12, 1e-12, 3e-9, -2e-12], 1e-3),
        ([1.0, 2.0, 3.0], 1e-3),
        ([-0.0005, 0.1, 0.2], 1e-3),
    ),
    reference=_down,
    mistakes=(
        Mistake(
            lambda eigenvalues, relative: sum(v < 0 for v in eigenvalues) / len(eigenvalues),
            "Every negative sign is counted, also where it is round-off: this is the very "
            "artifact. Compare with the threshold.",
        ),
        Mistake(
            lambda eigenvalues, relative: (
                sum(v < -relative * max(eigenvalues) for v in eigenvalues) / len(eigenvalues)
            ),
            "The scale is the largest magnitude: here the largest may be a negative eigenvalue.",
        ),
        Mistake(
            _without_zeros,
            "The eigenvalues near zero were taken out of the denominator too: a share of all "
            "directions was asked for.",
        ),
        Mistake(
            lambda eigenvalues, relative: (
                sum(v < -relative for v in eigenvalues) / len(eigenvalues)
            ),
            "The threshold is relative: multiply it by the largest magnitude.",
        ),
    ),
    hints=(
        "First the threshold: relative times the largest absolute eigenvalue.",
        "Count what lies below minus the threshold, and divide by the number of all eigenvalues.",
    ),
    solution="""
def share_down(eigenvalues, relative):
    threshold = relative * max(abs(v) for v in eigenvalues)
    return sum(v < -threshold for v in eigenvalues) / len(eigenvalues)
""",
)

EXERCISES = (PRODUCT_HESSIAN, BEST_DROP, QUIETEST_STEP, SHARE_DOWN, TRIAGE, *FURTHER)

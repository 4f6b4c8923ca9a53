"""More exercises of lesson 11: folding, the effective rate, and depth."""

import math

import torch
from torch import Tensor

from d2lstab.course.exercise import Exercise, Mistake

__all__ = ["FURTHER"]


def _vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


# Exercise 6: fold a batch normalization into the layer before it.

Folded = list[Tensor]


def _fold(
    W: Tensor, b: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor, eps: float
) -> Folded:
    scale = gamma / (var + eps).sqrt()
    return [scale[:, None] * W, scale * (b - mean) + beta]


def _fold_columns(
    W: Tensor, b: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor, eps: float
) -> Folded:
    scale = gamma / (var + eps).sqrt()
    return [W * scale, scale * (b - mean) + beta]


def _fold_unscaled_bias(
    W: Tensor, b: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor, eps: float
) -> Folded:
    scale = gamma / (var + eps).sqrt()
    return [scale[:, None] * W, b - scale * mean + beta]


def _fold_variance(
    W: Tensor, b: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor, eps: float
) -> Folded:
    scale = gamma / (var + eps)
    return [scale[:, None] * W, scale * (b - mean) + beta]


_W = torch.tensor([[1.0, 2.0], [-1.0, 0.5]], dtype=torch.float64)
_FOLD_INPUTS = (
    (_W, _vector(0.5, -1.0), _vector(2.0, 0.5), _vector(1.0, -1.0), _vector(3.0, 0.0),
     _vector(4.0, 0.25), 1e-5),
    (_W.T, _vector(1.0, 1.0), _vector(-1.0, 3.0), _vector(0.0, 2.0), _vector(-2.0, 1.0),
     _vector(1.0, 9.0), 0.5),
)  # fmt: skip

FOLD = Exercise(
    id="11-fold",
    title="Fold a batch normalization into the linear layer before it",
    inputs=_FOLD_INPUTS,
    reference=_fold,
    mistakes=(
        Mistake(
            _fold_columns,
            "The columns of W were scaled, the inputs; a feature of the normalization is an "
            "output, a row of W.",
        ),
        Mistake(
            _fold_unscaled_bias,
            "The layer's own bias passes through the normalization too: it is scaled like the "
            "weights.",
        ),
        Mistake(
            _fold_variance,
            "Divided by the variance; the normalization divides by its square root.",
        ),
        Mistake(
            lambda W, b, gamma, beta, mean, var, eps: _fold(W, b, gamma, beta, mean, var, 0.0),
            "eps is missing: the folded layer would differ where a variance is small.",
        ),
        Mistake(
            lambda W, b, gamma, beta, mean, var, eps: _fold(
                W, b, gamma, beta, torch.zeros_like(mean), var, eps
            ),
            "The running mean is not subtracted.",
        ),
    ),
    hints=(
        "Write gamma * (W x + b - mean) / sqrt(var + eps) + beta and collect what stands at x.",
        "Row i of the new W is gamma_i / sqrt(var_i + eps) times row i of the old one.",
    ),
    solution="""
def fold(W, b, gamma, beta, mean, var, eps):
    scale = gamma / (var + eps).sqrt()  # one number for each output, a row of W
    return [scale[:, None] * W, scale * (b - mean) + beta]
""",
)

# Exercise 4: how weights grow under a normalization, and what that does to the rate.


def _effective(
    norm2: float, lr: float, g2: list[float], growth: float = 1.0, power: int = 1
) -> float:
    total = norm2
    for g in g2:
        total += growth * lr**2 * g
    return float(lr / total**power)


EFFECTIVE_RATE = Exercise(
    id="11-effective-rate",
    title="The effective learning rate after some steps",
    inputs=((4.0, 0.1, [1.0, 2.0, 3.0]), (1.0, 1.0, [0.5, 0.25]), (9.0, 2.0, [])),
    reference=_effective,
    mistakes=(
        Mistake(
            lambda norm2, lr, g2: lr / norm2,
            "The weights have grown meanwhile: each step adds its squared length to the squared "
            "norm.",
        ),
        Mistake(
            lambda norm2, lr, g2: _effective(norm2, lr, g2, power=0),
            "This is the rate itself. What turns the weights is the rate over their squared norm.",
        ),
        Mistake(
            lambda norm2, lr, g2: lr / (norm2 + lr * sum(g2)),
            "A step is lr times the gradient, so its squared length is lr squared times g squared.",
        ),
        Mistake(
            lambda norm2, lr, g2: lr / math.sqrt(norm2 + lr**2 * sum(g2)),
            "Divided by the norm; a gradient shrinks like 1 / norm, and the angle of a step is "
            "its length over the norm: the norm counts twice.",
        ),
    ),
    hints=(
        "Gradient and weights are orthogonal: use Pythagoras for each step.",
        "After the steps the squared norm is norm2 + lr**2 * sum(g2). Divide lr by it.",
    ),
    solution="""
def effective_rate(norm2, lr, g2):
    # the gradient is orthogonal to the weights, so each step adds lr^2 g^2
    return lr / (norm2 + lr**2 * math.fsum(g2))
""",
)

# Exercise 3: the depth at which gradients have grown too far.

_GROWTH = math.log(math.pi / (math.pi - 1))


def _deepest(factor: float, per_layer: float = _GROWTH / 2, more: int = 0) -> int:
    return math.floor(math.log(factor) / per_layer) + more


DEPTH = Exercise(
    id="11-depth",
    title="The deepest plain ReLU network with batch normalization",
    inputs=((1000.0,), (10.0,), (65504.0,), (1.1,)),
    reference=_deepest,
    mistakes=(
        Mistake(
            lambda factor: _deepest(factor, _GROWTH),
            "The factor pi / (pi - 1) belongs to the squared norm; the norm itself grows by its "
            "square root in each layer.",
        ),
        Mistake(
            lambda factor: _deepest(factor, math.log(math.pi / (math.pi - 1)) * 2),
            "The square root went the wrong way: squared norm pi / (pi - 1) means a smaller "
            "factor for the norm.",
        ),
        Mistake(
            lambda factor: _deepest(factor, more=1),
            "One layer too many: there the factor has just been passed.",
        ),
        Mistake(
            lambda factor: math.log(factor) / (_GROWTH / 2),
            "The right equation, but a number of layers is whole: round down.",
        ),
    ),
    hints=(
        "After L layers the norm has grown by (pi / (pi - 1)) ** (L / 2).",
        "L = 2 ln(factor) / ln(pi / (pi - 1)), rounded down.",
    ),
    solution="""
def deepest(factor):
    # the squared norm grows by pi / (pi - 1) in each layer
    return math.floor(2 * math.log(factor) / math.log(math.pi / (math.pi - 1)))
""",
)

FURTHER = (FOLD, EFFECTIVE_RATE, DEPTH)

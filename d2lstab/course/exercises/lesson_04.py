"""Exercises of lesson 04: products into sums."""

import math

import torch
from torch import Tensor

from d2lstab.course.exercise import Exercise, Mistake
from d2lstab.course.exercises.lesson_04_further import FURTHER

__all__ = ["EXERCISES"]

BRANCH_SCALE = Exercise(
    id="04-branch-scale",
    title="The branch scale at which many blocks grow by a chosen factor",
    inputs=((1, 2.0), (10, 2.0), (50, 1.5), (100, 10.0), (1000, 2.0), (3, 8.0)),
    reference=lambda blocks, growth: math.sqrt(growth ** (1 / blocks) - 1),
    mistakes=(
        Mistake(
            lambda blocks, growth: growth ** (1 / blocks) - 1,
            "This is the square of the scale: one block multiplies the mean square by 1 + a^2.",
        ),
        Mistake(
            lambda blocks, growth: math.sqrt((growth - 1) / blocks),
            "This spreads the growth evenly as a sum. The blocks multiply: (1 + a^2) to the "
            "power of the number of blocks.",
        ),
        Mistake(
            lambda blocks, growth: math.sqrt(math.log(growth) / blocks),
            "Nearly, for many blocks: ln(1 + a^2) is a^2 only where a is small. The exact root "
            "is as short.",
        ),
        Mistake(
            lambda blocks, growth: 1 / math.sqrt(blocks),
            "This is the usual choice, and it always grows by nearly e. Here the growth is given.",
        ),
        Mistake(
            lambda blocks, growth: math.sqrt(growth ** (2 / blocks) - 1),
            "The growth is that of the mean square, not of its root: do not square it again.",
        ),
    ),
    hints=(
        "Write down by how much all blocks together multiply the mean square.",
        "Solve (1 + a^2) ** blocks = growth for a.",
    ),
    solution="""
def branch_scale(blocks, growth):
    # (1 + a^2) ** blocks = growth
    return math.sqrt(growth ** (1 / blocks) - 1)
""",
)


def _logit(p: float) -> float:
    return math.log(p / (1 - p))


FORGET_BIAS = Exercise(
    id="04-forget-bias",
    title="The forget bias that keeps a share of the memory",
    inputs=((50, 0.5), (50, 0.01), (1000, 0.5), (1, 0.25), (10, 0.9), (2, 0.04)),
    reference=lambda steps, share: _logit(share ** (1 / steps)),
    mistakes=(
        Mistake(
            lambda steps, share: share ** (1 / steps),
            "This is what the gate must let through in each step. The bias is what the sigmoid "
            "turns into that.",
        ),
        Mistake(
            lambda steps, share: _logit(share) / steps,
            "The gates multiply, the biases do not add: take the root of the share first, then "
            "invert the sigmoid.",
        ),
        Mistake(
            lambda steps, share: -_logit(share ** (1 / steps)),
            "The sign is turned: with this bias the gate lets through what it should hold back.",
        ),
        Mistake(
            lambda steps, share: math.log(share ** (1 / steps)),
            "This inverts the exponential. The gate is a sigmoid: p = 1 / (1 + exp(-b)).",
        ),
        Mistake(
            lambda steps, share: _logit(1 - (1 - share) / steps),
            "This takes the same amount away in each step. The gate takes the same share away.",
        ),
    ),
    hints=(
        "What must one gate let through, if the same gate many times keeps that share?",
        "p = share ** (1 / steps), and p = 1 / (1 + exp(-b)): solve for b.",
    ),
    solution="""
def forget_bias(steps, share):
    p = share ** (1 / steps)  # the gates multiply
    return math.log(p / (1 - p))  # the inverse of the sigmoid
""",
)


def _total(grads: list[Tensor]) -> float:
    return math.sqrt(sum(float(g.square().sum()) for g in grads))


def _clipped(grads: list[Tensor], max_norm: float) -> list[Tensor]:
    return [g * min(1.0, max_norm / _total(grads)) for g in grads]


def _t(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


_GRADS = [_t(3.0, 0.0), _t(0.0, -4.0, 12.0)]
_LONG_AND_SHORT = [_t(300.0, 400.0), _t(0.03), torch.tensor([[6.0, -8.0]], dtype=torch.float64)]

CLIP = Exercise(
    id="04-clip-by-norm",
    title="Clip the gradients of several layers as one vector",
    inputs=((_GRADS, 1.0), (_GRADS, 20.0), (_LONG_AND_SHORT, 5.0), (_LONG_AND_SHORT, 1e4)),
    reference=_clipped,
    mistakes=(
        Mistake(
            lambda grads, max_norm: [g * min(1.0, max_norm / float(g.norm())) for g in grads],
            "Each layer is clipped by itself: that changes the ratios between the layers, so the "
            "direction of the whole. Take one norm over all of them.",
        ),
        Mistake(
            lambda grads, max_norm: [g * max_norm / _total(grads) for g in grads],
            "A gradient that is short enough has to stay as it is; this lengthens it.",
        ),
        Mistake(
            lambda grads, max_norm: [g.clamp(-max_norm, max_norm) for g in grads],
            "This is clipping by value: it cuts single entries off and turns the direction.",
        ),
        Mistake(
            lambda grads, max_norm: [
                g * min(1.0, max_norm / sum(float(g.norm()) for g in grads)) for g in grads
            ],
            "Norms do not add. Add the squares of all entries, then take one root.",
        ),
        Mistake(
            lambda grads, max_norm: [g * min(1.0, max_norm / _total(grads) ** 2) for g in grads],
            "The root is missing: this divides by the squared norm.",
        ),
    ),
    hints=(
        "The gradients of all layers are one long vector: what is its length?",
        "One factor for all: the smaller of 1 and max_norm / (root of the sum of all squares).",
    ),
    solution="""
def clip(grads, max_norm):
    norm = math.sqrt(sum(float(g.square().sum()) for g in grads))  # one norm over all layers
    return [g * min(1.0, max_norm / norm) for g in grads]
""",
)


def _lost(gradients: Tensor, loss_scale: float) -> float:
    stored = (gradients * loss_scale).half()
    return float(((stored == 0) & (gradients != 0)).double().mean())


_SMALL = _t(1e-9, -2e-8, 4e-8, 0.0, -1e-7, 3e-6, 1e-5, 2e-3)
_SPREAD = _t(0.0, 0.0, 1e-12, 1e-10, -3e-10, 2e-8, -5e-6, 1e-4, 0.02, 3.0)

LOST = Exercise(
    id="04-lost-in-half",
    title="The share of gradients that float16 turns into 0",
    inputs=((_SMALL, 1.0), (_SMALL, 64.0), (_SPREAD, 1.0), (_SPREAD, 1024.0), (_SPREAD, 2.0**20)),
    reference=_lost,
    mistakes=(
        Mistake(
            lambda gradients, loss_scale: float(
                ((gradients * loss_scale).half() == 0).double().mean()
            ),
            "Entries that were exactly 0 before are not lost: count only those that become 0.",
        ),
        Mistake(
            lambda gradients, loss_scale: _lost(gradients, 1.0),
            "The loss scale is not used: it multiplies every gradient before it is stored.",
        ),
        Mistake(
            lambda gradients, loss_scale: float(
                (((gradients * loss_scale).abs() < 2**-14) & (gradients != 0)).double().mean()
            ),
            "Below 2^-14 a number is subnormal: less precise, but not yet 0.",
        ),
        Mistake(
            lambda gradients, loss_scale: _lost(gradients, 1 / loss_scale),
            "The scale goes the wrong way: the loss is multiplied by it, and so are the gradients.",
        ),
        Mistake(
            lambda gradients, loss_scale: _lost(gradients, loss_scale) * gradients.numel(),
            "This is the number of entries; a share was asked for.",
        ),
    ),
    hints=(
        "Multiply, convert with .half(), and look at what is 0 now.",
        "(scaled == 0) & (gradients != 0), and the mean of that.",
    ),
    solution="""
def lost_share(gradients, loss_scale):
    stored = (gradients * loss_scale).half()
    return float(((stored == 0) & (gradients != 0)).double().mean())
""",
)

EXERCISES = (BRANCH_SCALE, FORGET_BIAS, CLIP, LOST, *FURTHER)

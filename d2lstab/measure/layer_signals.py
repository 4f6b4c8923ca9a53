"""One call of a leaf module, described: its output, and the gradient that came back to it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from d2lstab.measure.leaf_calls import LeafCall
from d2lstab.measure.magnitudes import as_array, magnitudes

__all__ = [
    "SATURATED_BELOW",
    "LayerSignals",
    "SeenCall",
    "euclidean_norm",
    "joint_norm",
    "layer_signals",
]

SATURATED_BELOW = 0.01  # an activation is saturated where its derivative is smaller than this


@dataclass(frozen=True, slots=True, eq=False)
class LayerSignals:
    """One call of a leaf module. Shares lie between 0 and 1; NaN means not defined here."""

    name: str  # name in the model; the second call of a shared module is name#2
    kind: str  # class of the module, such as "Linear"
    reached: bool  # does the loss depend on this output, as autograd sees it?
    forward_second_moment: float  # mean square of the output
    backward_second_moment: float  # mean square of the loss's gradient by the output
    gradient_quantiles: tuple[float, ...]  # of |gradient by the output|, at the asked levels
    dead_share: float  # of units that put out exactly 0 for every sample
    saturated_share: float  # of entries of an element-wise activation with |phi'| < 0.01
    forward_overflow: float  # share of the output that rounds to infinity in the dtype
    forward_underflow: float  # share of the output that is not 0 and rounds to 0 in the dtype
    forward_non_finite: float  # share of the output that is NaN or infinite as it stands
    backward_overflow: float  # the same three shares of the gradient by the output
    backward_underflow: float
    backward_non_finite: float
    weight_norm: float  # Euclidean norm of the module's weights, biases left out
    weight_gradient_norm: float  # of the gradient by them, over all calls; NaN where frozen


class SeenCall:
    """What a call looked like going forward; the activations themselves are let go."""

    def __init__(self, call: LeafCall, limits: tuple[float, float]) -> None:
        self.name, self.module, self.edges = call.name, call.module, call.edges or [[]]
        groups = [[t.abs() for t in group] for group in call.groups or [[]]]
        self.sizes = [[t.numel() for t in group] for group in groups]
        self.forward = [magnitudes(_flat(group), (), limits) for group in groups]
        self.dead = [
            _dead_share(group) if looked.zero else looked.zero
            for group, looked in zip(groups, self.forward, strict=True)
        ]
        self.saturated = math.nan
        if call.slope is not None and call.slope.numel():
            flat = np.abs(as_array(call.slope))
            self.saturated = int(np.count_nonzero(flat < SATURATED_BELOW)) / flat.size


def layer_signals(
    seen: SeenCall,
    gradients: Sequence[Sequence[Tensor | None]],
    gradient_norms: Mapping[nn.Parameter, float],
    levels: Sequence[float],
    limits: tuple[float, float],
) -> LayerSignals:
    """Join what was seen going forward with the gradients by the output and the weights.

    Of several parts of an output, the first that the loss depends on is described.
    """
    reached = [any(g is not None for g in group) for group in gradients]
    part = reached.index(True) if any(reached) else 0
    arrived = [
        torch.zeros(size) if g is None else g.abs()
        for g, size in zip(gradients[part], seen.sizes[part], strict=True)
    ]
    forward, backward = seen.forward[part], magnitudes(_flat(arrived), levels, limits)
    weights = _weights(seen.module)
    trained = [gradient_norms[w] for w in weights if w in gradient_norms]
    return LayerSignals(
        name=seen.name,
        kind=type(seen.module).__name__,
        reached=any(reached),
        forward_second_moment=forward.second_moment,
        backward_second_moment=backward.second_moment,
        gradient_quantiles=backward.quantiles,
        dead_share=seen.dead[part],
        saturated_share=seen.saturated,
        forward_overflow=forward.overflow,
        forward_underflow=forward.underflow,
        forward_non_finite=forward.non_finite,
        backward_overflow=backward.overflow,
        backward_underflow=backward.underflow,
        backward_non_finite=backward.non_finite,
        weight_norm=joint_norm([euclidean_norm(w.detach()) for w in weights]),
        weight_gradient_norm=joint_norm(trained),
    )


def euclidean_norm(tensor: Tensor | None) -> float:
    """sqrt of the sum of squares, in float64; 0 for None, a gradient that does not exist.

    >>> euclidean_norm(torch.tensor([3.0, 4.0]))
    5.0
    """
    if tensor is None:
        return 0.0
    dense = tensor.coalesce().values() if tensor.is_sparse else tensor
    wide = torch.complex128 if dense.is_complex() else torch.float64
    return float(torch.linalg.vector_norm(dense, dtype=wide))


def joint_norm(norms: Iterable[float]) -> float:
    """The norm of tensors taken together, from their norms; NaN without any tensor.

    >>> joint_norm([3.0, 4.0]), joint_norm([])
    (5.0, nan)
    """
    found = list(norms)
    # hypot says inf for inf beside NaN; the sum of squares says NaN
    return math.sqrt(math.fsum(n * n for n in found)) if found else math.nan


def _weights(module: nn.Module) -> list[nn.Parameter]:
    # biases and the like are vectors; a normalization's or PReLU's vector is named weight
    named = module.named_parameters() if module._modules else module._parameters.items()
    return [p for name, p in named if p is not None and (p.ndim > 1 or name == "weight")]


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    if not tensors:
        return torch.empty(0)
    return tensors[0] if len(tensors) == 1 else torch.cat([t.flatten().cpu() for t in tensors])


def _dead_share(group: Sequence[Tensor]) -> float:
    largest = as_array(_flat([t.amax(0) if t.ndim else t for t in group if t.numel()]))
    return int(np.count_nonzero(largest == 0)) / largest.size if largest.size else math.nan

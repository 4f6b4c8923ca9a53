"""Gradient clipping as pure functions: shorten a gradient, or cut its entries off."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from d2lstab.arguments import non_negative_number

__all__ = ["Clipped", "clip_by_norm", "clip_by_value"]

Gradients = Tensor | Mapping[str, Tensor] | Sequence[Tensor]


class Clipped(NamedTuple):
    """Gradients after clipping, and how long they were before."""

    grads: Any  # of the structure that was passed in
    norm: Tensor  # Euclidean norm over all of them before clipping, a scalar tensor


def clip_by_norm(grads: Gradients, max_norm: float) -> Clipped:
    """Shorten gradients to a largest norm and keep their direction.

        g <- g min(1, max_norm / (||g|| + 1e-6))

    `grads` is a tensor, or a dict or list of tensors that count as one vector. Equals
    `torch.nn.utils.clip_grad_norm_`, its 1e-6 included, and changes nothing in place. NaN
    and infinite gradients give NaN, as there.

    Raises:
        ValueError, TypeError: `max_norm` negative or no number, `grads` empty or no tensors.

    Source: Pascanu, Mikolov and Bengio (2013), Algorithm 1.

    >>> clip_by_norm(torch.tensor([3.0, 4.0]), 1.0)
    Clipped(grads=tensor([0.6000, 0.8000]), norm=tensor(5.))
    """
    limit = non_negative_number(max_norm, "max_norm", "pass the largest norm to allow")
    tensors = _tensors(grads)
    norm = torch.linalg.vector_norm(
        torch.stack([torch.linalg.vector_norm(g).to(tensors[0].device) for g in tensors])
    )
    factor = (limit / (norm + 1e-6)).clamp(max=1.0)
    return Clipped(_each(grads, lambda g: g * factor.to(g.device, g.dtype)), norm)


def clip_by_value(grads: Gradients, clip_value: float) -> Any:
    """Cut every entry off at +-clip_value, which may turn the direction.

        g_i <- min(max(g_i, -clip_value), clip_value)

    `grads` is a tensor, or a dict or list of tensors. Equals
    `torch.nn.utils.clip_grad_value_` and changes nothing in place.

    Raises:
        ValueError, TypeError: `clip_value` negative or no number, `grads` empty or no tensors.

    >>> clip_by_value(torch.tensor([3.0, -0.5]), 1.0)
    tensor([ 1.0000, -0.5000])
    """
    limit = non_negative_number(clip_value, "clip_value", "pass the largest entry to allow")
    _tensors(grads)
    return _each(grads, lambda g: g.clamp(-limit, limit))


def _each(grads: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(grads, Tensor):
        return change(grads)
    if isinstance(grads, Mapping):
        return {name: change(g) for name, g in grads.items()}
    changed = [change(g) for g in grads]
    # a namedtuple takes its fields one by one
    return grads._make(changed) if hasattr(grads, "_make") else type(grads)(changed)


def _tensors(grads: Any) -> list[Tensor]:
    known = list(grads.values()) if isinstance(grads, Mapping) else grads
    found = [known] if isinstance(known, Tensor) else known
    if not isinstance(found, list | tuple) or not all(
        isinstance(g, Tensor) and g.is_floating_point() for g in found
    ):
        raise TypeError(
            "grads must be a floating-point tensor, or a dict or list of such, "
            f"got {type(grads).__name__}: pass torch.autograd.grad(loss, parameters)"
        )
    if not found:
        raise ValueError("grads must hold at least one tensor, got none: pass the gradients")
    return list(found)

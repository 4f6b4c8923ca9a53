"""Descent on a surface of few parameters: where a rule leads, step by step."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from d2lstab.arguments import floating_tensor, natural_number
from d2lstab.optimize.rules import Rule
from d2lstab.specimens.surface import Surface

__all__ = ["Trajectory", "descend"]

CHUNK = 1024  # steps between two looks at whether the descent still makes sense


class Terrain(Protocol):
    """Anything with a height and a slope: closed forms of a point."""

    def value(self, points: Tensor) -> Tensor:
        """The height, of shape (...) at points (..., d)."""

    def gradient(self, points: Tensor) -> Tensor:
        """The slope, of shape (..., d) at points (..., d)."""


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """The points a descent went through, the start being the first."""

    points: Tensor  # (steps + 1, *start.shape), in the start's dtype
    losses: Tensor  # the surface's value at each point, (steps + 1, ...)
    gradient_norms: Tensor  # Euclidean norm of the gradient at each point, (steps + 1, ...)
    diverged_at: int | None  # first step with a point, loss or gradient NaN or infinite


def descend(
    surface: Terrain | Callable[[Tensor], Tensor],
    start: Tensor | Sequence[float] | float,
    rule: Rule,
    steps: int,
) -> Trajectory:
    """Follow an update rule down a surface.

        x_{t+1} = x_t + update(gradient(x_t))

    Args:
        surface: a `Surface`, any object with `value` and `gradient`, or a function of a
            tensor, which is differentiated automatically.
        start: a point of shape (d,), or many at once, (..., d), each of which goes its own
            way; numbers become float64.
        rule: a rule of `d2lstab.optimize.rules`, started afresh.
        steps: updates to make.

    Returns:
        A `Trajectory`, in the start's dtype. A point, loss or gradient that is NaN or
        infinite is data: it is the last one kept. Of many starts all go on until the last
        one has diverged, and `diverged_at` is the first step at which one had.

    On a quadratic `Surface` (constant Hessian H) the gradient is taken as H x + g(0), and
    the same rule moves arrays instead of tensors, several times faster; both ways agree to
    round-off. Where a rule amplifies round-off, as `mean_rms` does in its bursts, the onset
    depends on it.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a start that is empty or not finite, negative steps, a surface whose
            value or gradient has the wrong shape.

    >>> from d2lstab.optimize.rules import sgd
    >>> descend(lambda x: (x**2).sum(), [4.0], sgd(0.25), 3).points.flatten().tolist()
    [4.0, 2.0, 1.0, 0.5]
    """
    count = natural_number(steps, "steps", "pass the number of updates to make")
    if not isinstance(rule, Rule):
        raise TypeError(
            f"rule must be a rule of d2lstab.optimize.rules, got {type(rule).__name__}: "
            "pass sgd(0.1), for example"
        )
    point = _point(start, surface)
    value, gradient = _functions(surface)
    axes = _batch_axes(value, gradient, point)
    parts = []
    for points in _chunks(surface, gradient, point, rule, count):
        losses, norms = _heights(surface, value, gradient, points, axes)
        fine = points.reshape(*losses.shape, -1).isfinite().all(-1)
        fine &= losses.isfinite() & norms.isfinite()
        parts.append((points, losses, norms, fine.reshape(len(points), -1)))
        if not fine[-1].any():
            break
    return _trajectory(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _trajectory(points: Tensor, losses: Tensor, norms: Tensor, fine: Tensor) -> Trajectory:
    """What is kept: everything up to the step at which the last start has diverged."""
    lost = (~fine).cumsum(0) > 0
    one, every = lost.any(1).int(), lost.all(1).int()
    diverged_at = int(one.argmax()) if bool(one[-1]) else None
    end = int(every.argmax()) + 1 if bool(every[-1]) else len(points)
    return Trajectory(points[:end], losses[:end], norms[:end], diverged_at)


def _chunks(
    surface: Any, gradient: Callable[[Tensor], Tensor], start: Tensor, rule: Rule, steps: int
) -> Iterator[Tensor]:
    """The points in chunks, the first of which begins with the start."""
    fast = (
        isinstance(surface, Surface)
        and surface.constant_hessian
        and start.dtype in (torch.float32, torch.float64)
        and start.device.type == "cpu"
    )
    x: Any = start.numpy() if fast else start
    slope = _affine(surface, start) if fast else gradient
    state, left, first = rule.init(x), steps, [x]
    while first or left:
        found, made = first, min(CHUNK, left)
        with torch.no_grad(), np.errstate(all="ignore"):
            for _ in range(made):
                change, state = rule.update(slope(x), state, x)
                x = x + change
                found.append(x)
        left, first = left - made, []
        yield torch.from_numpy(np.stack(found)) if fast else torch.stack(found)


def _affine(surface: Surface, start: Tensor) -> Callable[[np.ndarray], np.ndarray]:
    """The gradient of a quadratic as a function of arrays: H x + g(0).

    The sum is written out, without BLAS, so that every machine rounds it in the same way.
    """
    zero = torch.zeros(surface.dimension).to(start)
    rows, offset = list(surface.hessian(zero).numpy()), surface.gradient(zero).numpy()

    def gradient(x: np.ndarray) -> np.ndarray:
        slope = x[..., :1] * rows[0]
        for i in range(1, len(rows)):
            slope = slope + x[..., i : i + 1] * rows[i]
        return slope + offset

    return gradient


def _heights(
    surface: Any,
    value: Callable[[Tensor], Tensor],
    gradient: Callable[[Tensor], Tensor],
    points: Tensor,
    batch_axes: int,
) -> tuple[Tensor, Tensor]:
    """Losses and gradient norms at points of shape (n, *start.shape)."""
    with torch.no_grad():
        if isinstance(surface, Surface):
            losses, slopes = value(points), gradient(points)
        else:
            losses = torch.stack([value(p) for p in points])
            slopes = torch.stack([gradient(p) for p in points])
    slopes = slopes.reshape(*slopes.shape[: 1 + batch_axes], -1)
    # Scaled by the largest entry, so that the squares do not overflow before the norm does.
    scale = slopes.abs().amax(-1, keepdim=True)
    scale = torch.where((scale > 0) & scale.isfinite(), scale, 1.0)
    return losses, torch.linalg.vector_norm(slopes / scale, dim=-1) * scale.squeeze(-1)


def _point(start: Any, surface: Any) -> Tensor:
    advice = "pass a tensor or a list of numbers"
    if not isinstance(start, Tensor):
        try:
            start = torch.from_numpy(np.array(start, dtype=np.float64))
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"start must be a point of numbers, got {type(start).__name__}: {advice}"
            ) from error
        if start.ndim == 0 and isinstance(surface, Surface):
            start = start.reshape(1)
    start = floating_tensor(start, "start", advice).detach().clone()
    if not bool(start.isfinite().all()):
        raise ValueError(f"start must be finite, got {start.tolist()}: begin at a finite point")
    return start


def _functions(surface: Any) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    if callable(getattr(surface, "value", None)) and callable(getattr(surface, "gradient", None)):
        return surface.value, surface.gradient
    if not callable(surface):
        raise TypeError(
            f"surface must have value and gradient or be a function, got {type(surface).__name__}: "
            "pass a Surface, or a function from a tensor to its loss"
        )

    def gradient(point: Tensor) -> Tensor:
        with torch.enable_grad():
            x = point.detach().requires_grad_()
            height = surface(x).sum()
        if not height.requires_grad:
            raise ValueError(
                "surface must depend on its point through torch operations, got a value without "
                "a gradient: return a tensor computed from the argument"
            )
        return torch.autograd.grad(height, x)[0]

    return surface, gradient


def _batch_axes(value: Any, gradient: Any, point: Tensor) -> int:
    """How many of the start's axes count points: the value's."""
    with torch.no_grad():
        height = value(point)
    if not isinstance(height, Tensor) or height.shape != point.shape[: height.ndim]:
        got = tuple(height.shape) if isinstance(height, Tensor) else type(height).__name__
        raise ValueError(
            f"surface must give one value for each point, got {got} for a start of shape "
            f"{tuple(point.shape)}: return a tensor of shape {tuple(point.shape[:-1])}"
        )
    slope = gradient(point)
    if not isinstance(slope, Tensor) or slope.shape != point.shape:
        raise ValueError(
            "surface must have a gradient of the start's shape "
            f"{tuple(point.shape)}, got {getattr(slope, 'shape', slope)}: check its gradient"
        )
    return height.ndim

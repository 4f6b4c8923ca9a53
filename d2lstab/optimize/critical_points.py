"""Finding points where the gradient vanishes, be they minima, saddles or maxima."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from d2lstab.arguments import positive_number
from d2lstab.measure.krylov import Subspace
from d2lstab.measure.symmetric_operator import symmetric_operator
from d2lstab.optimize.gradient_walk import CriticalPointSearch, GradientWalk

__all__ = ["CriticalPointSearch", "damped_newton", "descend_gradient_norm"]

_FULL = 2000  # parameters up to which Newton's method uses the whole Hessian
_DIRECTIONS = 100  # of the Krylov space that stands for it beyond


def descend_gradient_norm(
    model: nn.Module,
    loss_fn: Callable[[Any, Any], Tensor],
    inputs: Any,
    targets: Any = None,
    *,
    steps: int = 1000,
    tolerance: float = 1e-6,
) -> CriticalPointSearch:
    """Descend on the squared gradient norm, which every critical point minimizes.

        f = ||g||^2 / 2,   grad f = H g,   theta <- theta - eta H g

    The step eta is that of Barzilai and Borwein, halved until f decreases enough, so that f
    never grows. One product and one gradient a step.

    Args:
        model: left as it is; the search moves a copy, in the model's mode.
        loss_fn, inputs, targets: as for `HessianOperator`.
        steps: at most so many.
        tolerance: stop where ||g|| is at most this, in the unit of the loss per parameter.

    Returns:
        A `CriticalPointSearch`. Not converged with a `flatness` near 0 says that it ended
        where H g is nearly 0 and g is not: gradient-flat, and no critical point.

    Raises:
        ValueError, TypeError: as `HessianOperator`; steps below 1; tolerance not positive.

    Source: Frye et al. 2021, "Critical point-finding methods reveal gradient-flat regions of
    deep network losses"; Barzilai and Borwein 1988.

    >>> line = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    >>> one = torch.ones(1, 1, dtype=torch.float64)
    >>> search = descend_gradient_norm(line, nn.functional.mse_loss, one, 3 * one)
    >>> search.converged, round(search.model.weight.item(), 4)
    (True, 3.0)
    """
    walk = GradientWalk(model, loss_fn, inputs, targets, steps, tolerance)
    old_direction = old_point = None
    while walk.unfinished():
        g, theta = walk.gradient, walk.point
        direction = walk.operator.matvec(g)  # the gradient of f
        slope = float(direction @ direction)
        if not slope > 0:
            break
        if old_direction is None or old_point is None:
            turned = float(direction @ walk.operator.matvec(direction))
            eta = float(g @ direction) / turned if turned > 0 else 1.0
            eta = eta if eta > 0 else slope**-0.5
        else:
            moved, turn = theta - old_point, direction - old_direction
            eta = abs(float(moved @ moved) / float(moved @ turn)) if float(moved @ turn) else 1.0
        old_direction, old_point = direction, theta
        if not walk.backtrack(-eta * direction, -eta * slope):
            break
    return walk.result()


def damped_newton(
    model: nn.Module,
    loss_fn: Callable[[Any, Any], Tensor],
    inputs: Any,
    targets: Any = None,
    *,
    steps: int = 100,
    tolerance: float = 1e-8,
    damping: float = 1e-2,
) -> CriticalPointSearch:
    """Newton's method on g = 0, damped: it goes to the nearest critical point of any kind.

        (H^2 + mu^2 I) delta = -H g

    delta minimizes the linearized ||g + H delta||^2 + mu^2 ||delta||^2 (Levenberg and
    Marquardt); mu falls to a third after a step that shortens g, and grows fourfold after one
    that would not, which is not made. Up to 2000 parameters the system is solved with the
    eigenvalues of the whole Hessian; beyond, on the Krylov space of g, from 100 products a step.

    Args:
        model: left as it is; the search moves a copy, in the model's mode.
        loss_fn, inputs, targets: as for `HessianOperator`.
        steps: at most so many, those not made counted.
        tolerance: stop where ||g|| is at most this.
        damping: the first mu as a share of the Hessian's norm.

    Returns:
        A `CriticalPointSearch`. Where the Hessian there is regular the last steps square the
        error.

    Raises:
        ValueError, TypeError: as `HessianOperator`; steps below 1; tolerance or damping not
            positive.

    Source: Levenberg 1944, Marquardt 1963; Nocedal and Wright 2006, section 10.3.

    >>> model = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    >>> saddle = lambda out, _: (out**4 - 2 * out**2).sum()  # a maximum at 0, minima at +-1
    >>> _ = nn.init.constant_(model.weight, 0.1)
    >>> one = torch.ones(1, 1, dtype=torch.float64)
    >>> search = damped_newton(model, saddle, one, one)
    >>> search.converged, abs(search.model.weight.item()) < 1e-8
    (True, True)
    """
    positive_number(damping, "damping", "pass 0.01, for example")
    walk = GradientWalk(model, loss_fn, inputs, targets, steps, tolerance)
    relative, system = damping, None
    while walk.unfinished():
        system = system or _System(walk)
        if system.size == 0:
            break
        if walk.accept(system.step(walk.gradient, relative * system.size)):
            relative, system = max(relative / 3, 1e-15), None
        else:
            relative *= 4
            if relative > 1e15:  # no step is short enough: round-off
                break
    return walk.result()


class _System:
    """The Hessian at one point as U diag(s) V', ready to be solved for several dampings."""

    def __init__(self, walk: GradientWalk) -> None:
        if len(walk.gradient) <= _FULL:
            values, self.left = torch.linalg.eigh(walk.matrix())
            self.singular, self.right = values, self.left
        else:
            self.left, self.singular, self.right = _on_krylov_space(walk)
        self.size = float(self.singular.abs().max())

    def step(self, g: Tensor, mu: float) -> Tensor:
        weights = self.singular / (self.singular**2 + mu**2)
        return -self.right @ (weights * (self.left.T @ g))


def _on_krylov_space(walk: GradientWalk) -> tuple[Tensor, Tensor, Tensor]:
    """The singular value decomposition of H restricted to g, H g, H^2 g, ..."""
    operator = symmetric_operator(walk.operator)
    space = Subspace(operator, min(_DIRECTIONS, operator.n))
    direction, amount = walk.gradient / walk.gradient.norm(), 1.0
    while amount > 0 and space.size < space.capacity:
        direction, amount = space.expand(direction)
    u, s, vt = torch.linalg.svd(space.images.T, full_matrices=False)
    return u, s * space.scale, space.basis.T @ vt.T

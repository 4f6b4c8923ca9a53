"""What an update rule is, and how one is made from its arithmetic on a single tensor.

The arithmetic uses operators alone, so that it moves tensors and, for the fast
descent on small surfaces, numpy arrays.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from d2lstab.arguments import non_negative_number

__all__ = ["ElementwiseRule", "Rate", "Rule", "elementwise_rule", "larger", "packed", "root"]

Rate = float | Callable[[int], float]  # a learning rate, or a schedule step -> rate from step 0

# step(gradient, parameter, slots, rate, t) -> (update, slots), t counting updates from 1
Arithmetic = Callable[[Any, Any, tuple[Any, ...], float, int], tuple[Any, tuple[Any, ...]]]


class Rule(NamedTuple):
    """How parameters move: two pure functions on a tensor or a dict of tensors.

    `init(params)` returns the state; `update(grads, state, params)` returns the updates, to
    be added to the parameters, and the next state. Nothing that is passed in is changed.
    A state is a dict: "step", the updates made, and one entry of the parameters' structure
    for each quantity that the rule remembers.
    """

    init: Callable[[Any], dict[str, Any]]
    update: Callable[[Any, Mapping[str, Any], Any], tuple[Any, dict[str, Any]]]


class ElementwiseRule(Rule):
    """A rule that moves every entry by itself, whichever tensor it stands in."""

    __slots__ = ()


def root(x: Any) -> Any:
    """The square root of a tensor or an array."""
    return x.sqrt() if isinstance(x, Tensor) else np.sqrt(x)


def larger(x: Any, y: Any) -> Any:
    """The larger of two tensors or arrays, element by element."""
    return torch.maximum(x, y) if isinstance(x, Tensor) else np.maximum(x, y)


def elementwise_rule(lr: Rate, slots: tuple[str, ...], step: Arithmetic) -> Rule:
    """The rule that applies `step` to every tensor, with a memory of the named slots."""
    schedule = lr if callable(lr) else None
    fixed = 0.0 if callable(lr) else non_negative_number(lr, "lr", "pass a rate or a schedule")

    def init(params: Any) -> dict[str, Any]:
        nothing = _zeros(params)  # one for all slots: no update changes it
        return {"step": 0} | dict.fromkeys(slots, nothing)

    def moved(grads: Any, state: Mapping[str, Any], params: Any) -> tuple[Any, dict[str, Any]]:
        try:
            made = state["step"]
            memory = [state[slot] for slot in slots]
        except KeyError as error:
            raise _foreign(error.args[0]) from error
        except TypeError as error:
            raise TypeError(f"{_FROM_INIT} {type(state).__name__}: call it first") from error
        rate = fixed if schedule is None else _rate(schedule(made), made)
        if not isinstance(grads, Mapping):
            _check_shapes(grads, params)
            change, new = step(grads, params, tuple(memory), rate, made + 1)
            return change, dict(zip(slots, new, strict=True), step=made + 1)
        if not isinstance(params, Mapping) or grads.keys() != params.keys():
            raise ValueError(
                f"grads must have the names of params, got {list(grads)}: pass one for each"
            )
        updates, after = {}, {slot: {} for slot in slots}  # type: ignore[var-annotated]
        for name, gradient in grads.items():
            _check_shapes(gradient, params[name])
            try:
                old = tuple(slot[name] for slot in memory)
            except (KeyError, TypeError, IndexError) as error:
                raise _foreign(name) from error
            updates[name], new = step(gradient, params[name], old, rate, made + 1)
            for slot, value in zip(slots, new, strict=True):
                after[slot][name] = value
        return updates, {"step": made + 1} | after

    def update(grads: Any, state: Mapping[str, Any], params: Any) -> tuple[Any, dict[str, Any]]:
        if isinstance(params, np.ndarray):
            return moved(grads, state, params)
        # parameters require a gradient, and a memory of them would keep every step's graph
        with torch.no_grad():
            return moved(grads, state, params)

    return ElementwiseRule(init, update)


def packed(rule: Rule, params: Mapping[str, Tensor]) -> Rule:
    """The rule for these parameters, with all of them in one tensor.

    A rule makes some ten small operations on each tensor, and a network of fifty layers has a
    hundred tensors: more time than its gradient takes. An `ElementwiseRule` makes the same
    numbers, to the last bit, of the tensors laid end to end. `update` still takes and returns
    dicts; the state holds one flat tensor for each quantity. Any other rule, and parameters of
    mixed dtypes or devices, are returned as they are.
    """
    kinds = {(p.dtype, p.device) for p in params.values()}
    if not isinstance(rule, ElementwiseRule) or len(kinds) != 1:
        return rule
    sizes = [p.numel() for p in params.values()]

    def flat(tensors: Mapping[str, Tensor]) -> Tensor:
        return torch.cat([tensors[name].reshape(-1) for name in params])

    def init(params: Mapping[str, Tensor]) -> dict[str, Any]:
        return rule.init(flat(params))

    def update(
        grads: Mapping[str, Tensor], state: Mapping[str, Any], params: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Any]]:
        for name, parameter in params.items():
            _check_shapes(grads[name], parameter)
        change, state = rule.update(flat(grads), state, flat(params))
        pieces = zip(params.items(), change.split(sizes), strict=True)
        return {name: piece.view(p.shape) for (name, p), piece in pieces}, dict(state)

    return Rule(init, update)


def _zeros(params: Any) -> Any:
    if isinstance(params, Mapping):
        return {name: _zeros(value) for name, value in params.items()}
    if isinstance(params, np.ndarray):
        return np.zeros_like(params)
    if not isinstance(params, Tensor) or not params.is_floating_point():
        kind = params.dtype if isinstance(params, Tensor) else type(params).__name__
        raise TypeError(
            f"params must be a floating-point tensor or a dict of such, got {kind}: "
            "pass torch.tensor([1.0, 2.0]), for example"
        )
    return torch.zeros_like(params, requires_grad=False)


def _rate(rate: Any, made: int) -> float:
    if type(rate) is float and 0 <= rate < math.inf:  # a hundred thousand updates pass here
        return rate
    return non_negative_number(rate, "lr", f"the schedule gave it at step {made}")


_FROM_INIT = "state must come from this rule's init(params), got"


def _foreign(missing: str) -> ValueError:
    advice = "pass what init or the last update returned"
    return ValueError(f"{_FROM_INIT} one without {missing!r}: {advice}")


def _check_shapes(gradient: Any, parameter: Any) -> None:
    try:
        alike = gradient.shape == parameter.shape
    except AttributeError:
        if hasattr(gradient, "shape"):
            raise ValueError(
                "grads must have the structure of params, got a tensor for "
                f"{type(parameter).__name__}: pass a dict for a dict, a tensor for a tensor"
            ) from None
        raise TypeError(
            f"grads must be a tensor for each parameter, got {type(gradient).__name__}: "
            "pass torch.zeros_like(p) for a parameter that the loss does not use"
        ) from None
    if not alike:
        raise ValueError(
            f"grads must have the shapes of params, got {tuple(gradient.shape)} for "
            f"{tuple(parameter.shape)}: pass the gradient by these parameters"
        )

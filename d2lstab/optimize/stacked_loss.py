"""The losses of many networks of one architecture at once, from their stacked parameters."""

from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

__all__ = ["StackedLoss", "stacked_loss"]

_FEW = 20  # so many losses one by one are as fast, and vmap's cross-entropy imports the compiler

Stack = Mapping[str, Tensor]  # by name, each (members, *shape)

# (parameters, buffers, inputs, targets) -> (one loss a member, buffers after the pass)
StackedLoss = Callable[[Stack, Stack, Tensor, Tensor], tuple[Tensor, dict[str, Tensor]]]


def stacked_loss(base: nn.Module, loss_fn: Callable[[Any, Tensor], Tensor]) -> StackedLoss:
    """loss_fn(model_k(inputs), targets) for all members k, differentiable by the parameters.

    A plain chain of linear layers and element-wise activations is one product of stacks a
    layer; every other module is called by `torch.func.vmap`, which gives the same and takes
    half as long again on a small batch.

    Args:
        base: a module of the members' architecture, lent for good: make a copy. Its own
            parameters are not used.
        loss_fn: `loss_fn(outputs, targets)` of one member, a scalar.

    Raises, when it is called:
        ValueError: a loss that is not a real scalar.

    >>> both = stacked_loss(nn.Sequential(nn.Linear(1, 1, bias=False)), nn.functional.mse_loss)
    >>> weights = {"0.weight": torch.tensor([[[1.0]], [[3.0]]])}
    >>> both(weights, {}, torch.ones(1, 1), torch.ones(1, 1))[0]  # (w - 1)^2
    tensor([0., 4.])
    """

    def scalar(outputs: Any, targets: Tensor) -> Tensor:
        value = loss_fn(outputs, targets)
        if not isinstance(value, Tensor) or value.numel() != 1:
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(
                f"the loss must be a scalar, got {shape}: reduce it with .mean() or .sum()"
            )
        if value.is_complex():
            raise ValueError(f"the loss must be real, got {value.dtype}: return a mean of .abs()")
        return value.reshape(())

    if _is_chain(base):
        many = vmap(scalar, in_dims=(0, None))

        def chain(
            parameters: Stack, _: Stack, inputs: Tensor, targets: Tensor
        ) -> tuple[Tensor, dict[str, Tensor]]:
            outputs = _stacked_outputs(base, parameters, inputs)
            if len(outputs) > _FEW:
                return many(outputs, targets), {}
            return torch.stack([scalar(z, targets) for z in outputs]), {}

        return chain

    def one(
        parameters: Stack, buffers: Stack, inputs: Tensor, targets: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        written = dict(buffers)
        outputs = functional_call(base, (dict(parameters), written), (inputs,))
        return scalar(outputs, targets), written

    return vmap(one, in_dims=(0, 0, None, None))


def _is_chain(model: nn.Module) -> TypeGuard[nn.Sequential]:
    if type(model) is not nn.Sequential:
        return False
    everywhere = list(model.named_parameters(remove_duplicate=False))
    shared = len(list(model.parameters())) < len(everywhere)
    hooked = any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    plain = all(type(module) is nn.Linear or _is_elementwise(module) for module in model)
    return plain and not (shared or hooked)


def _is_elementwise(module: nn.Module) -> bool:
    held = [*module.parameters(), *module.buffers()]
    return getattr(module, "elementwise", False) is True and not held


def _stacked_outputs(chain: nn.Sequential, parameters: Stack, inputs: Tensor) -> Tensor:
    """Shape (members, N, outputs)."""
    members = len(next(iter(parameters.values())))
    h = inputs.expand(members, *inputs.shape)
    for name, module in zip(chain._modules, chain, strict=True):
        if type(module) is not nn.Linear:
            h = module(h)
            continue
        product = torch.matmul(h, parameters[f"{name}.weight"].mT)
        h = product if module.bias is None else product + parameters[f"{name}.bias"][:, None]
    return h

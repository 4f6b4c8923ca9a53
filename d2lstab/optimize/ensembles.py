"""Hundreds of small networks trained at once: one batched operation in place of a loop."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from d2lstab.arguments import positive_integer
from d2lstab.measure.loss_gradient import check_dense, check_dependence
from d2lstab.measure.untouched import checked_model, model_output, untouched
from d2lstab.optimize.minibatches import endless, source_of_batches
from d2lstab.optimize.rule import Rule
from d2lstab.optimize.stacked_loss import stacked_loss

__all__ = ["Ensemble", "train_ensemble"]


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """Networks of one architecture, after training."""

    models: list[nn.Module]  # trained copies, in the order and modes of those handed in
    parameters: dict[str, Tensor]  # the same parameters stacked, each (members, *shape)
    losses: Tensor  # (updates, members), on the batch of each update, before it


def train_ensemble(
    models: Sequence[nn.Module],
    data: Any,
    rule: Rule,
    *,
    loss_fn: Callable[[Any, Tensor], Tensor],
    updates: int,
    batch_size: int | None = None,
    generator: torch.Generator | None = None,
) -> Ensemble:
    """Train many small networks together, their parameters stacked.

        theta_k <- theta_k + update(gradient of loss_fn(model_k(inputs), targets)),  all k at once

    Args:
        models: modules of one architecture, each with its own initialization; left as they
            are. They are trained in train mode.
        data: `(inputs, targets)`, cut into random batches as in `train`; or a re-iterable of
            batches. All members see the same batches: they differ by their start alone.
        rule: from `d2lstab.optimize.rules`; it is applied element by element.
        loss_fn: `loss_fn(outputs, targets)`, a scalar.
        updates: how many steps.
        batch_size: the full batch unless given.
        generator: shuffles; needed where the batch is not the full one.

    Returns:
        An `Ensemble`, equal to training one after another to round-off. A member that
        diverges does not disturb the others; its losses turn NaN or infinite.

    Running statistics (BatchNorm) are kept a member; parameters that do not require a
    gradient stay. Dropout in train mode is refused, for it has no generator; so is what
    `torch.func.vmap` cannot batch, recurrent layers (LSTM, GRU, RNN) among others: use `train`.

    Raises:
        ValueError: no model, architectures that differ, a loss that is not a scalar or does
            not depend on the parameters; no updates; a batch larger than the data; dropout.
        TypeError: an argument of the wrong kind; inputs of another dtype than the models';
            sparse gradients; layers that cannot be batched.

    >>> pair = [nn.Linear(1, 1, bias=False, dtype=torch.float64) for _ in range(2)]
    >>> for start, model in enumerate(pair):
    ...     _ = nn.init.constant_(model.weight, 4.0 * start)
    >>> from d2lstab.optimize.rules import sgd
    >>> one = torch.ones(1, 1, dtype=torch.float64)
    >>> both = train_ensemble(pair, (one, 2 * one), sgd(0.25), updates=2,
    ...                       loss_fn=nn.functional.mse_loss)  # the error halves each time
    >>> both.parameters["weight"].flatten().tolist(), both.losses[:, 0].tolist()
    ([1.5, 2.5], [4.0, 1.0])
    """
    members = _checked(models, loss_fn, rule)
    updates = positive_integer(updates, "updates", "pass the number of steps")
    with torch.inference_mode(False), torch.no_grad():
        source = _source(data, batch_size, generator)
        base, stacked, fixed, buffers = _stacked(members)
        losses_of = stacked_loss(base, loss_fn)
        state, losses = rule.init(stacked), []
        for made, (inputs, targets) in enumerate(endless(source)):
            if made == updates:
                break
            moving = {name: p.detach().requires_grad_() for name, p in stacked.items()}
            try:
                with torch.enable_grad():
                    values, buffers = losses_of(moving | fixed, buffers, inputs, targets)
                    gradients = _gradients(values, moving)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                raise _not_together(base, loss_fn, inputs, targets, error) from error
            buffers = {name: b.detach() for name, b in buffers.items()}
            change, state = rule.update(gradients, state, stacked)
            stacked = {name: p + change[name] for name, p in stacked.items()}
            losses.append(values.detach())
        trained = _filled(members, stacked, buffers)
    return Ensemble(trained, stacked | fixed, torch.stack(losses))


def _gradients(values: Tensor, moving: dict[str, Tensor]) -> dict[str, Tensor]:
    check_dependence(values, "models'")
    # No member's loss depends on another's parameters, so the gradient of the sum is theirs;
    # torch.func.grad inside of vmap would import torch's compiler.
    found = torch.autograd.grad(
        values.sum(), list(moving.values()), allow_unused=True, materialize_grads=True
    )
    return dict(zip(moving, found, strict=True))


def _not_together(
    base: nn.Module,
    loss_fn: Callable[[Any, Tensor], Tensor],
    inputs: Tensor,
    targets: Tensor,
    error: RuntimeError,
) -> Exception:
    """Why the members could not be called at once; what one alone raises is raised here."""
    if "random operation" in str(error):
        return ValueError(
            f"models must be deterministic in train mode, got {type(base).__name__} with dropout "
            "or other draws: leave them out, or train one model after another with train"
        )
    with untouched(base), torch.enable_grad():
        needed = {name: p for name, p in base.named_parameters() if p.requires_grad}
        loss = loss_fn(model_output(base, inputs), targets)
        found = torch.autograd.grad(loss, list(needed.values()), allow_unused=True)
        pairs = zip(needed, found, strict=True)
        check_dense({name: g for name, g in pairs if g is not None})
    return TypeError(
        f"models must be of layers that torch.func.vmap can batch, got {type(base).__name__}: "
        f"{str(error).splitlines()[0]} Train one model after another with train"
    )


def _checked(models: Any, loss_fn: Any, rule: Any) -> list[nn.Module]:
    if isinstance(models, nn.Module) or not isinstance(models, Sequence | nn.ModuleList):
        raise TypeError(
            f"models must be a list of torch.nn.Modules, got {type(models).__name__}: "
            "pass [make_model() for _ in range(100)]"
        )
    members = list(models)
    if not members:
        raise ValueError("models must hold at least one model, got an empty list: pass some")
    for model in members:
        if not isinstance(model, nn.Module):
            raise TypeError(
                f"models must be torch.nn.Modules, got {type(model).__name__}: pass modules"
            )
        checked_model(model)
    first = _signature(members[0])
    if not any(p.requires_grad for p in members[0].parameters()):
        raise ValueError("models must have parameters to train, got none that requires a gradient")
    for i, model in enumerate(members):
        if _signature(model) != first:
            raise ValueError(
                f"models must share one architecture, got another at index {i}: "
                "train each architecture as an ensemble of its own"
            )
    if not callable(loss_fn):
        raise TypeError(
            f"loss_fn must be a function of outputs and targets, got {type(loss_fn).__name__}: "
            "pass torch.nn.functional.cross_entropy, for example"
        )
    if not isinstance(rule, Rule):
        raise TypeError(
            f"rule must be a Rule, got {type(rule).__name__}: "
            "pass one of d2lstab.optimize.rules, such as sgd(0.1)"
        )
    return members


def _signature(model: nn.Module) -> list[object]:
    """What two models must have in common to run as one."""
    modules: list[object] = [(name, type(m), repr(m)) for name, m in model.named_modules()]
    parameters: list[object] = [
        (name, p.shape, p.dtype, p.device, p.requires_grad) for name, p in model.named_parameters()
    ]
    return modules + parameters


def _source(data: Any, batch_size: int | None, generator: torch.Generator | None) -> Any:
    pair = isinstance(data, tuple | list) and len(data) == 2 and isinstance(data[0], Tensor)
    if pair and batch_size is None:
        full = generator if generator is not None else torch.Generator()
        return source_of_batches(data, max(1, len(data[0])), full, False)
    return source_of_batches(data, batch_size, generator, False)


def _stacked(
    members: list[nn.Module],
) -> tuple[nn.Module, dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """One model to call, the parameters that move and that stay, and the buffers, stacked."""
    base = deepcopy(members[0]).train()
    parameters = _stack([dict(model.named_parameters()) for model in members])
    needed = {name for name, p in members[0].named_parameters() if p.requires_grad}
    return (
        base,
        {name: p for name, p in parameters.items() if name in needed},
        {name: p for name, p in parameters.items() if name not in needed},
        _stack([dict(model.named_buffers()) for model in members]),
    )


def _stack(tensors: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([t[name].detach() for t in tensors]) for name in tensors[0]}


def _filled(
    members: list[nn.Module], parameters: dict[str, Tensor], buffers: dict[str, Tensor]
) -> list[nn.Module]:
    trained = [deepcopy(model) for model in members]
    with torch.no_grad():
        for i, model in enumerate(trained):
            for name, p in model.named_parameters():
                if name in parameters:
                    p.copy_(parameters[name][i])
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name][i])
    return trained

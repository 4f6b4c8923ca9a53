"""What `train` demands of its arguments."""

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from d2lstab.arguments import positive_integer
from d2lstab.measure.untouched import checked_model
from d2lstab.optimize.rules import Rule

__all__ = ["check_functions", "check_scheduler", "total_updates", "trained_parameters"]


def total_updates(epochs: int | None, updates: int | None, per_epoch: int) -> int:
    """How many updates a run makes."""
    if (epochs is None) == (updates is None):
        raise ValueError(
            f"exactly one of epochs and updates must be given, got epochs={epochs!r} and "
            f"updates={updates!r}: say how long to train in one way"
        )
    if epochs is None:
        return positive_integer(updates, "updates", "pass the number of updates")
    return positive_integer(epochs, "epochs", "pass the number of passes over the data") * per_epoch


def check_functions(model: object, loss_fn: object, optional: dict[str, object]) -> None:
    """A module, a loss function, and functions where optional arguments are given."""
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model must be a torch.nn.Module, got {type(model).__name__}: pass the network itself"
        )
    functions = {"loss_fn": loss_fn} | {n: f for n, f in optional.items() if f is not None}
    for name, function in functions.items():
        if not callable(function):
            raise TypeError(
                f"{name} must be a function, got {type(function).__name__}: "
                "pass the function itself, not its result"
            )


def trained_parameters(
    model: nn.Module, optimizer: torch.optim.Optimizer | Rule
) -> dict[str, nn.Parameter]:
    """The parameters that the optimizer or the rule will move, by name."""
    learnable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if isinstance(optimizer, torch.optim.Optimizer):
        if isinstance(optimizer, torch.optim.LBFGS):
            raise TypeError(
                "optimizer must make one update from one gradient, got LBFGS: "
                "call its step(closure) in a loop of your own"
            )
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        if not held <= {id(p) for p in model.parameters()}:
            raise ValueError(
                "optimizer must hold parameters of this model, got others: "
                "build it from model.parameters() of the model you pass"
            )
        learnable = {name: p for name, p in learnable.items() if id(p) in held}
    elif not isinstance(optimizer, Rule):
        raise TypeError(
            f"optimizer must be a torch.optim.Optimizer or a Rule, got {type(optimizer).__name__}: "
            "pass torch.optim.SGD(model.parameters(), lr=0.1), for example"
        )
    else:
        checked_model(model)  # torch's optimizers wait for lazy parameters, a rule does not
    if not learnable:
        raise ValueError(
            "model must have parameters that require a gradient, got none: "
            "call requires_grad_() on those to be trained"
        )
    return learnable


def check_scheduler(scheduler: LRScheduler | None, optimizer: torch.optim.Optimizer) -> None:
    """A scheduler of this optimizer that needs nothing but the step count."""
    if scheduler is None:
        return
    if not isinstance(scheduler, LRScheduler) or isinstance(scheduler, ReduceLROnPlateau):
        raise TypeError(
            "scheduler must be a torch scheduler that needs no metric, got "
            f"{type(scheduler).__name__}: pass torch.optim.lr_scheduler.LambdaLR, for example"
        )
    if scheduler.optimizer is not optimizer:
        raise ValueError(
            "scheduler must belong to the optimizer it is passed with, got another's: "
            "build it from this optimizer"
        )

"""The history of a training run, and the notes that become it."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from d2lstab.measure.loss_gradient import scalar_loss
from d2lstab.measure.untouched import model_output
from d2lstab.optimize.minibatches import Accuracy

__all__ = ["History", "Notes", "in_mode"]


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """What happened in a training run; its tensors are float64 unless said otherwise."""

    losses: Tensor  # loss of each update's batch, before that update; shape (updates,)
    gradient_norms: Tensor  # Euclidean norm of each update's gradient, before `transform`
    evaluated_at: Tensor  # int64: updates made before each evaluation; the first is 0
    train_loss: Tensor | None  # loss on all training data at each evaluation; None for batches
    train_accuracy: Tensor | None  # share of right classes in 0..1; None without classes
    validation_loss: Tensor | None  # the same on the validation data; None without them
    validation_accuracy: Tensor | None  # share of right classes on the validation data
    watched: tuple[Any, ...]  # what `watch(model)` returned at each evaluation
    updates_per_epoch: int  # batches in one pass over the data
    diverged_at: int | None  # updates made when the loss was first seen NaN or infinite


@contextmanager
def in_mode(model: nn.Module, training: bool) -> Iterator[None]:
    """The model in train or evaluation mode; every module's own mode afterwards."""
    before = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, mode in before:
            module.training = mode


@dataclass(slots=True)
class Notes:
    """What is written down while a model trains."""

    model: nn.Module
    loss_fn: Callable[[Any, Tensor], Tensor]
    examined: dict[str, tuple[Tensor, Tensor]]  # the data sets evaluated on, by name
    accuracy: Accuracy
    watch: Callable[[nn.Module], object] | None
    diverged_at: int | None = None
    losses: list[float] = field(default_factory=list)
    # Numbers, not tensors: a tensor kept from every update would fragment the memory.
    norms: list[float] = field(default_factory=list)
    evaluated_at: list[int] = field(default_factory=list)
    curves: dict[str, list[float]] = field(default_factory=dict)
    watched: list[object] = field(default_factory=list)

    def batch(self, loss: Tensor, gradients: dict[str, Tensor]) -> None:
        """Write down one batch before its update is made."""
        value = loss.item()
        parts = [torch.linalg.vector_norm(g) for g in gradients.values()]
        self.norms.append(torch.linalg.vector_norm(torch.stack(parts)).item())
        if not math.isfinite(value):
            self.diverged_at = len(self.losses)
        self.losses.append(value)

    def evaluate(self, made: int) -> None:
        """Write down where the model stands after `made` updates."""
        if self.evaluated_at and self.evaluated_at[-1] == made:
            return
        self.evaluated_at.append(made)
        with in_mode(self.model, training=False):
            for name, (inputs, targets) in self.examined.items():
                self._examine(name, inputs, targets)
            if self.watch is not None:
                self.watched.append(self.watch(self.model))
        finite = math.isfinite(self.curves.get("train_loss", [0.0])[-1])
        if not finite and self.diverged_at is None:
            self.diverged_at = made

    def _examine(self, name: str, inputs: Tensor, targets: Tensor) -> None:
        with torch.no_grad():
            outputs = model_output(
                self.model, inputs, "inputs" if name == "train" else f"{name} inputs"
            )
            loss = scalar_loss(self.loss_fn(outputs, targets)).item()
            share = self.accuracy(outputs, targets)
        self.curves.setdefault(f"{name}_loss", []).append(loss)
        if share is not None:
            self.curves.setdefault(f"{name}_accuracy", []).append(float(share))

    def history(self, updates_per_epoch: int) -> History:
        """The notes as a frozen result."""
        curves = {name: torch.tensor(c, dtype=torch.float64) for name, c in self.curves.items()}
        return History(
            losses=torch.tensor(self.losses, dtype=torch.float64),
            gradient_norms=torch.tensor(self.norms, dtype=torch.float64),
            evaluated_at=torch.tensor(self.evaluated_at),
            train_loss=curves.get("train_loss"),
            train_accuracy=curves.get("train_accuracy"),
            validation_loss=curves.get("validation_loss"),
            validation_accuracy=curves.get("validation_accuracy"),
            watched=tuple(self.watched),
            updates_per_epoch=updates_per_epoch,
            diverged_at=self.diverged_at,
        )

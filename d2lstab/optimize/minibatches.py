"""Where a training run's batches come from: a shuffled data set, or somebody's own order."""

from collections.abc import Callable, Iterator, Sized
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from d2lstab.arguments import positive_integer, random_generator

__all__ = [
    "Accuracy",
    "Batches",
    "Minibatches",
    "checked_pair",
    "class_accuracy",
    "endless",
    "source_of_batches",
]


class Batches(Protocol):
    """Somebody's own batches, in their own order: a list of them, or a DataLoader."""

    def __len__(self) -> int:
        """Batches in one epoch."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch."""


Accuracy = Callable[[Any, Tensor], float | None]  # scores outputs against targets


@dataclass(frozen=True, slots=True, eq=False)
class Minibatches:
    """A data set that is cut anew into random batches each time it is iterated over."""

    inputs: Tensor  # (N, ...)
    targets: Tensor  # (N, ...)
    batch_size: int  # samples a batch, at most N
    drop_last: bool  # whether the smaller batch at the end is left out
    generator: torch.Generator  # shuffles; a full batch needs no shuffling

    def __len__(self) -> int:
        """Batches in one epoch."""
        whole, rest = divmod(len(self.inputs), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch: every sample once, in a new order."""
        size, n = self.batch_size, len(self.inputs)
        if size == n:
            yield self.inputs, self.targets
            return
        device = self.generator.device
        order = torch.randperm(n, generator=self.generator, device=device).to(self.inputs.device)
        for batch in order.split(size)[: len(self)]:
            yield self.inputs[batch], self.targets[batch]


def checked_pair(pair: Any, name: str) -> tuple[Tensor, Tensor]:
    """Inputs and targets as two tensors of equal length, not empty and without NaN."""
    if isinstance(pair, TensorDataset):
        pair = pair.tensors
    wanted = f"{name} must be a pair of tensors (inputs, targets)"
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise TypeError(f"{wanted}, got {type(pair).__name__}: pass (inputs, targets)")
    for part, tensor in zip(("inputs", "targets"), pair, strict=True):
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{wanted}, got {part} of type {type(tensor).__name__}: pass a tensor")
        if tensor.ndim == 0 or len(tensor) == 0:
            raise ValueError(
                f"{name} {part} must hold at least one sample along their first axis, "
                f"got shape {tuple(tensor.shape)}: pass (samples, ...)"
            )
        if tensor.is_floating_point() and bool(tensor.isnan().any()):
            raise ValueError(f"{name} {part} must be free of NaN, got some: clean the data first")
    inputs, targets = pair
    if len(inputs) != len(targets):
        raise ValueError(
            f"{name} must hold as many inputs as targets, got {len(inputs)} and {len(targets)}: "
            "pass one target for each sample"
        )
    if not targets.is_floating_point() and targets.dtype != torch.int64:
        raise TypeError(
            f"{name} targets must be floating-point numbers or int64 classes, "
            f"got {targets.dtype}: convert them with .long() or .float()"
        )
    # outside of inference mode autograd wants tensors that were not made inside it
    fresh = not torch.is_inference_mode_enabled()
    inputs, targets = (t.clone() if t.is_inference() and fresh else t for t in (inputs, targets))
    return inputs, targets


def source_of_batches(
    data: Any, batch_size: int | None, generator: torch.Generator | None, drop_last: bool
) -> Minibatches | Batches:
    """The data set cut into random batches, or the caller's own batches as they are."""
    if isinstance(data, TensorDataset) or _is_pair(data):
        inputs, targets = checked_pair(data, "data")
        size = positive_integer(batch_size, "batch_size", "pass the number of samples in a batch")
        if size > len(inputs):
            raise ValueError(
                f"batch_size must be at most the number of samples, got {size} for "
                f"{len(inputs)} samples: pass {len(inputs)} for the full batch"
            )
        return Minibatches(inputs, targets, size, bool(drop_last), random_generator(generator))
    if isinstance(data, Tensor | str | bytes | dict) or not (
        isinstance(data, Sized) and hasattr(data, "__iter__")
    ):
        raise TypeError(
            "data must be a pair of tensors or a list or DataLoader of (inputs, targets) batches, "
            f"got {type(data).__name__}: pass (inputs, targets)"
        )
    if batch_size is not None or generator is not None or drop_last:
        raise ValueError(
            "batch_size, generator and drop_last must be left out where data is an iterable of "
            "batches, got some of them: the batches and their order are already decided"
        )
    return cast(Batches, data)


def _is_pair(data: Any) -> bool:
    if not isinstance(data, tuple | list) or not data:
        return False
    return (isinstance(data, tuple) and not isinstance(data[0], tuple | list)) or any(
        isinstance(part, Tensor) for part in data
    )


def class_accuracy(outputs: Any, targets: Tensor) -> float | None:
    """The share of samples whose largest output is the target's; None without classes."""
    if targets.is_floating_point() or not isinstance(outputs, Tensor) or outputs.ndim < 2:
        return None
    guesses = outputs.argmax(1)
    if guesses.shape != targets.shape:
        return None
    return (guesses == targets).double().mean().item()


def endless(source: Minibatches | Batches) -> Iterator[tuple[Tensor, Tensor]]:
    """Epoch after epoch; the next one is drawn only when a batch of it is asked for."""
    while True:
        epoch = iter(source)
        first = next(epoch, None)
        if first is None:
            raise ValueError(
                "data must give at least one batch in every epoch, got none: pass a list of "
                "batches or a DataLoader, not an iterator that is used up"
            )
        yield first
        yield from epoch

"""How long an update and an epoch take at each batch size, on the machine at hand."""

import copy
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from d2lstab.arguments import positive_integer
from d2lstab.measure.loss_gradient import check_dependence, scalar_loss
from d2lstab.measure.untouched import model_output

__all__ = ["BatchTimes", "time_batches"]

WARM_UP = 2  # updates that are made before the clock runs


@dataclass(frozen=True, slots=True, eq=False)
class BatchTimes:
    """Medians over repeated updates."""

    batch_sizes: tuple[int, ...]  # samples a batch
    seconds_per_update: Tensor  # median of forward, backward and step; float64, s
    seconds_per_epoch: Tensor  # updates in an epoch times that; float64, s
    updates_per_epoch: tuple[int, ...]  # ceil(samples / batch size)
    samples: int  # N, the samples of one epoch


def time_batches(
    model: nn.Module,
    loss_fn: Callable[[Any, Tensor], Tensor],
    inputs: Tensor,
    targets: Tensor,
    batch_sizes: Sequence[int],
    *,
    repeats: int = 20,
    samples: int | None = None,
) -> BatchTimes:
    """Time one update of gradient descent at each batch size.

        seconds per epoch = ceil(N / B) seconds per update

    An update takes a batch, runs forward and backward, and moves a copy of the model, on
    the device where the model and the data are (a GPU is waited for). The median of
    `repeats` updates is taken after two that are not counted. `samples` is the N of an
    epoch, the length of `inputs` unless given.

    The model, the data and torch's random state are left as they were. Times differ from
    machine to machine and from run to run: show them, do not test them.

    Raises:
        ValueError: no batch size, one below 1 or above the number of inputs, data that are
            empty or of unequal length, no trainable parameter, a loss that is not a real scalar
            or does not depend on the parameters.
        TypeError: an argument of the wrong kind; inputs of another dtype than the model's.

    >>> x = torch.zeros(10, 3)
    >>> times = time_batches(nn.Linear(3, 1), nn.functional.mse_loss, x, x[:, :1], [1, 4])
    >>> times.updates_per_epoch
    (10, 3)
    """
    _check(model, loss_fn, inputs, targets)
    count = positive_integer(repeats, "repeats", "pass the number of updates to time")
    epoch = len(inputs) if samples is None else positive_integer(samples, "samples")
    sizes = _sizes(batch_sizes, len(inputs))
    device = inputs.device
    with _random_state_kept(device), torch.inference_mode(False), torch.enable_grad():
        inputs, targets = (t.clone() if t.is_inference() else t for t in (inputs, targets))
        twin = copy.deepcopy(model)
        optimizer = torch.optim.SGD([p for p in twin.parameters() if p.requires_grad], lr=1e-6)

        def update(size: int, turn: int) -> float:
            begin = turn * size % (len(inputs) - size + 1)
            start = _clock(device)
            x, y = inputs[begin : begin + size], targets[begin : begin + size]
            optimizer.zero_grad()
            loss = scalar_loss(loss_fn(model_output(twin, x), y))
            check_dependence(loss)
            loss.backward()
            optimizer.step()
            return _clock(device) - start

        medians = []
        for size in sizes:
            seconds = [update(size, turn) for turn in range(WARM_UP + count)]
            medians.append(statistics.median(seconds[WARM_UP:]))
    updates = tuple(math.ceil(epoch / size) for size in sizes)
    per_update = torch.tensor(medians, dtype=torch.float64)
    per_epoch = per_update * torch.tensor(updates, dtype=torch.float64)
    return BatchTimes(sizes, per_update, per_epoch, updates, epoch)


def _clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@contextmanager
def _random_state_kept(device: torch.device) -> Iterator[None]:
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


def _sizes(batch_sizes: Any, most: int) -> tuple[int, ...]:
    if isinstance(batch_sizes, str) or not isinstance(batch_sizes, Sequence):
        raise TypeError(
            f"batch_sizes must be a list of positive integers, got {batch_sizes!r}: "
            "pass [1, 10, 100], for example"
        )
    sizes = tuple(
        positive_integer(size, f"batch_sizes[{i}]", "pass the number of samples in a batch")
        for i, size in enumerate(batch_sizes)
    )
    if not sizes or max(sizes) > most:
        raise ValueError(
            f"batch_sizes must be at least one size of at most {most} samples, "
            f"got {list(sizes)}: pass more inputs or smaller batches"
        )
    return sizes


def _check(model: Any, loss_fn: Any, inputs: Any, targets: Any) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}: pass one")
    if not any(p.requires_grad for p in model.parameters()):
        raise ValueError(
            "model must have parameters that require a gradient, got none: "
            "pass a model that can be trained"
        )
    if not callable(loss_fn):
        raise TypeError(f"loss_fn must be a function, got {type(loss_fn).__name__}: pass one")
    if not isinstance(inputs, Tensor) or not isinstance(targets, Tensor):
        raise TypeError(
            "inputs and targets must be tensors, "
            f"got {type(inputs).__name__} and {type(targets).__name__}: pass tensors"
        )
    if inputs.ndim == 0 or targets.ndim == 0 or len(inputs) == 0 or len(inputs) != len(targets):
        raise ValueError(
            "inputs and targets must hold equally many samples, at least one, got shapes "
            f"{tuple(inputs.shape)} and {tuple(targets.shape)}: pass one target for each sample"
        )

"""Our tensors as the data that a d2l model expects."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from d2lstab.arguments import floating_tensor, positive_integer, random_generator
from d2lstab.integrations.library import load

__all__ = ["as_images", "data_module"]


def as_images(inputs: Tensor, size: int = 28) -> Tensor:
    """Pictures of the height and width a convolutional model expects, by bilinear scaling.

    `inputs` has shape (N, height * height), (N, height, width) or (N, channels,
    height, width); the result (N, channels, size, size), in the same dtype.

    Raises:
        TypeError, ValueError: `inputs` has no such shape, or `size` is not a positive integer.

    >>> as_images(torch.ones(2, 64), size=28).shape
    torch.Size([2, 1, 28, 28])
    """
    advice = "pass pictures as (N, 64), (N, 8, 8) or (N, 1, 8, 8)"
    floating_tensor(inputs, "inputs", advice)
    size = positive_integer(size, "size", "pass the height the model expects, 28 for d2l.LeNet")
    shape = tuple(inputs.shape)
    if inputs.dim() == 2 and math.isqrt(shape[1]) ** 2 == shape[1]:
        inputs = inputs.unflatten(1, (math.isqrt(shape[1]), -1))
    if inputs.dim() == 3:
        inputs = inputs.unsqueeze(1)
    if inputs.dim() != 4:
        raise ValueError(f"inputs must be a batch of square pictures, got shape {shape}: {advice}")
    return F.interpolate(inputs, (size, size), mode="bilinear", align_corners=False)


def _checked_pair(pair: object, name: str) -> tuple[Tensor, Tensor]:
    advice = "pass (inputs, targets), such as (digits.train_inputs, digits.train_targets)"
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise TypeError(f"{name} must be a pair of tensors, got {type(pair).__name__}: {advice}")
    inputs, targets = pair
    floating_tensor(inputs, f"{name} inputs", advice)
    if not isinstance(targets, Tensor):
        raise TypeError(f"{name} targets must be a tensor, got {type(targets).__name__}: {advice}")
    if targets.dim() == 0 or len(targets) != len(inputs):
        raise ValueError(
            f"{name} targets must be {len(inputs)} rows, as the inputs are, "
            f"got shape {tuple(targets.shape)}: {advice}"
        )
    return inputs, targets


def data_module(
    train: tuple[Tensor, Tensor],
    validation: tuple[Tensor, Tensor] | None,
    *,
    batch_size: int,
    generator: torch.Generator,
    size: int | None = None,
) -> Any:
    """A `d2l.DataModule` of two pairs (inputs, targets), for d2l's `Trainer`.

    The training set is shuffled by `generator` in each epoch, the validation
    set is not; the last batch of an epoch may be smaller. With `size`, the
    inputs are scaled by `as_images`.

    Raises:
        TypeError, ValueError: a pair does not hold two tensors of equally many rows, or
            `batch_size`, `size` or `generator` is not what its name says.
        ImportError: d2l is not installed.
    """
    batch_size = positive_integer(batch_size, "batch_size", "pass the samples of a minibatch")
    random_generator(generator)
    pairs = {True: _checked_pair(train, "train")}
    if validation is not None:
        pairs[False] = _checked_pair(validation, "validation")
    if size is not None:
        pairs = {key: (as_images(x, size), y) for key, (x, y) in pairs.items()}
    d2l = load()

    class Tensors(d2l.DataModule):  # type: ignore[name-defined]
        """Pairs of tensors, held in memory."""

        def get_dataloader(self, train: bool) -> Any:
            if train not in pairs:
                return None
            return torch.utils.data.DataLoader(
                torch.utils.data.TensorDataset(*pairs[train]),
                batch_size,
                shuffle=train,
                # A loader without one draws from the global RNG, even in order.
                generator=generator if train else torch.Generator(),
            )

    module = Tensors(num_workers=0)
    module.batch_size = batch_size
    return module

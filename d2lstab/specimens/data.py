"""Scikit-learn's 1797 real handwritten digits, offline, and feature standardization."""

import math
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from d2lstab.arguments import (
    choice,
    floating_dtype,
    floating_tensor,
    number_between,
    random_generator,
)

__all__ = ["Digits", "Standardization", "all_digits", "digits", "standardization", "standardize"]

SCALINGS = ("standardized", "unit", "raw")


@dataclass(frozen=True, slots=True, eq=False)
class Standardization:
    """The statistics of a training set, ready to be applied to any other set."""

    mean: Tensor  # mean of each feature over the training rows, in the features' units
    std: Tensor  # standard deviation of each feature, divided by N; exactly 0 where constant

    def apply(self, inputs: Tensor) -> Tensor:
        """(inputs - mean) / std, where a constant feature is divided by 1 instead of 0."""
        divisor = torch.where(self.std == 0, torch.ones_like(self.std), self.std)
        return (inputs - self.mean) / divisor


@dataclass(frozen=True, slots=True, eq=False)
class Digits:
    """Handwritten digits, split into a training and a test set."""

    train_inputs: Tensor  # (n, 64), or (n, 1, 8, 8) as images
    train_targets: Tensor  # (n,) class labels 0..9, int64
    test_inputs: Tensor  # (m, 64) or (m, 1, 8, 8); m = 0 where nothing was held out
    test_targets: Tensor  # (m,) class labels 0..9, int64
    mean: Tensor  # mean of each raw pixel (0..16) over the training set, float64
    std: Tensor  # its standard deviation, divided by n; exactly 0 for a constant pixel, float64


def standardization(train: Tensor) -> Standardization:
    """The mean and the standard deviation of each feature of a training set.

        mean_j = sum_i x_ij / N,    std_j^2 = sum_i (x_ij - mean_j)^2 / N

    `train` has shape (N, ...); the statistics have the shape of one row. A feature that is
    constant in `train` gets a std of exactly 0 (not round-off), its own value as the mean,
    and is only centered by `apply`: it becomes 0 on the training set instead of NaN.

    Raises:
        TypeError: `train` is not a floating-point tensor.
        ValueError: it is empty, has no feature dimension, or holds NaN or infinity.

    >>> s = standardization(torch.tensor([[0.0, 7.0], [2.0, 7.0]]))
    >>> s.apply(torch.tensor([[4.0, 7.0]]))
    tensor([[3., 0.]])
    """
    advice = "pass the training inputs as a float tensor of shape (N, features)"
    floating_tensor(train, "train", advice)
    if train.dim() < 2:
        raise ValueError(
            f"train must be a tensor of shape (N, features), got {tuple(train.shape)}: {advice}"
        )
    if not bool(train.isfinite().all()):
        raise ValueError("train must be finite, got NaN or infinity: clean the data first")
    constant = (train == train[:1]).all(dim=0)
    mean = torch.where(constant, train[0], train.mean(dim=0))
    std = (train - mean).square().mean(dim=0).sqrt()
    return Standardization(mean.detach(), std.detach())


def standardize(train: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
    """A training set, and any further sets, standardized by the training set's statistics.

    The training set comes out with mean 0 and variance 1 in every feature that varies and 0
    in every constant one; the others do so only up to the difference of the samples.

    Raises:
        TypeError, ValueError: as `standardization`; a further set's rows have another shape.

    >>> train, test = standardize(torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0]]))
    >>> train.flatten(), test.flatten()
    (tensor([-1.,  1.]), tensor([0.]))
    """
    statistics = standardization(train)
    for other in others:
        if not isinstance(other, Tensor) or not other.is_floating_point():
            raise TypeError(
                f"others must be floating-point tensors, got {type(other).__name__}: "
                "pass the test inputs in the same form as the training inputs"
            )
        if other.shape[1:] != train.shape[1:]:
            raise ValueError(
                f"others must have rows of shape {tuple(train.shape[1:])}, "
                f"got {tuple(other.shape[1:])}: pass sets with the same features"
            )
    return tuple(statistics.apply(x) for x in (train, *others))


@cache
def _pixels_and_labels() -> tuple[Tensor, Tensor]:
    # The file that `load_digits` reads, without scikit-learn's 1100 modules around it: they
    # would take a second and 100 MB of every kernel.
    package = find_spec("sklearn")
    file = Path(package.origin or "").parent / "datasets/data/digits.csv.gz" if package else None
    if file is not None and file.is_file():
        rows = torch.from_numpy(np.loadtxt(file, delimiter=","))
        return rows[:, :-1].contiguous(), rows[:, -1].long()
    from sklearn.datasets import load_digits  # a layout that we do not know

    pixels, labels = load_digits(return_X_y=True)
    return torch.tensor(pixels, dtype=torch.float64), torch.tensor(labels, dtype=torch.int64)


def _stratified(labels: Tensor, fraction: float, generator: torch.Generator) -> Tensor:
    """A random order of the samples whose first round-up(fraction * N) keep the class shares."""
    count = len(labels)
    held_out = math.ceil(round(fraction * count, 9))
    order = torch.randperm(count, generator=generator, device=generator.device).cpu()
    by_class = order[torch.sort(labels[order], stable=True).indices]
    k = torch.arange(count)
    chosen = torch.zeros(count, dtype=torch.bool)
    chosen[by_class] = (k + 1) * held_out // count > k * held_out // count
    return torch.cat([order[chosen[order]], order[~chosen[order]]])


def _scaled(pixels: Tensor, scaling: str, statistics: Standardization) -> Tensor:
    if scaling == "standardized":
        return statistics.apply(pixels)
    return pixels / 16 if scaling == "unit" else pixels.clone()


def digits(
    *,
    test_fraction: float = 0.25,
    scaling: str = "standardized",
    dtype: torch.dtype = torch.float32,
    image: bool = False,
    generator: torch.Generator | None = None,
) -> Digits:
    """The 1797 digits of 8 x 8 pixels, split at random with equal class shares, and scaled.

    A share `test_fraction` in [0, 1) is held out, rounded up to whole samples (450 of 1797
    by default, 1347 to train on); `generator` draws the split and the order of the samples
    and may be left out only with `test_fraction=0`, which keeps all in the stored order.
    `scaling` is "standardized" (mean 0 and variance 1 over the *training* set in every pixel
    that varies there; three pixels of the whole set never do, and become 0), "unit" (0..1) or
    "raw" (0..16). `image=True` shapes the inputs (n, 1, 8, 8) instead of (n, 64).
    Statistics are computed in float64 and the result is rounded to `dtype`.

    Raises:
        ValueError: `test_fraction` outside [0, 1) or so large that no training sample is
            left, an unknown `scaling`, a `dtype` that is not floating.
        TypeError: a split without a `torch.Generator`.

    Source: Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, UCI; the
    copy that ships with scikit-learn.

    >>> d = digits(test_fraction=0.25, generator=torch.Generator().manual_seed(0))
    >>> tuple(d.train_inputs.shape), tuple(d.test_inputs.shape)
    ((1347, 64), (450, 64))
    """
    number_between(test_fraction, "test_fraction", 0, 1, "pass 0.25, say", closed="left")
    choice(scaling, "scaling", SCALINGS)
    floating_dtype(dtype)
    pixels, labels = _pixels_and_labels()
    order = torch.arange(len(labels))
    if test_fraction > 0:
        order = _stratified(labels, float(test_fraction), random_generator(generator))
    held_out = math.ceil(round(float(test_fraction) * len(labels), 9))
    if held_out >= len(labels):
        raise ValueError(
            f"test_fraction must be small enough to leave a training sample, got {test_fraction}: "
            "pass 0.25, say"
        )
    test, train = order[:held_out], order[held_out:]
    statistics = standardization(pixels[train])
    shape = (1, 8, 8) if image else (64,)
    inputs = _scaled(pixels, scaling, statistics).to(dtype).reshape(-1, *shape)
    mean, std = statistics.mean.reshape(shape), statistics.std.reshape(shape)
    return Digits(inputs[train], labels[train], inputs[test], labels[test], mean, std)


def all_digits(
    *, scaling: str = "standardized", dtype: torch.dtype = torch.float32, image: bool = False
) -> tuple[Tensor, Tensor]:
    """All 1797 digits in the stored order: (inputs, targets), scaled as `digits` does.

    Raises:
        ValueError, TypeError: as `digits`.

    >>> inputs, targets = all_digits(scaling="raw")
    >>> tuple(inputs.shape), targets[:5]
    ((1797, 64), tensor([0, 1, 2, 3, 4]))
    """
    whole = digits(test_fraction=0, scaling=scaling, dtype=dtype, image=image)
    return whole.train_inputs, whole.train_targets

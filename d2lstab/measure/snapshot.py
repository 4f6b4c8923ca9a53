"""Whether a model and its batches are still what a cached graph was made from."""

from typing import Any

import torch
from torch import Tensor

from d2lstab.measure.batch_loss import BatchLoss

__all__ = ["Snapshot"]


def _tensors_in(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        return [t for part in value.values() for t in _tensors_in(part)]
    if isinstance(value, list | tuple):
        return [t for part in value for t in _tensors_in(part)]
    return []


class Snapshot:
    """What a cached graph was made from; `holds` tells whether it is still so.

    Values are compared, for `p.data.add_(...)` leaves no other sign, and the counters of
    in-place changes, for a value that went and came back has spoiled the graph.
    """

    def __init__(self, loss: BatchLoss) -> None:
        self._tensors = self._current(loss)
        self._copies = [t.detach().clone() for t in self._tensors]
        self._versions = [_version(t) for t in self._tensors]
        self._flags = self._modes(loss)

    def holds(self, loss: BatchLoss) -> bool:
        """Whether model and batches are what they were."""
        now = self._current(loss)
        return (
            self._modes(loss) == self._flags
            and len(now) == len(self._tensors)
            and all(new is old for new, old in zip(now, self._tensors, strict=True))
            and [_version(t) for t in now] == self._versions
            and all(_same(t, c) for t, c in zip(now, self._copies, strict=True))
        )

    @staticmethod
    def _current(loss: BatchLoss) -> list[Tensor]:
        model = loss.model
        return [*model.parameters(), *model.buffers(), *_tensors_in(loss.batches)]

    @staticmethod
    def _modes(loss: BatchLoss) -> list[bool]:
        modes = [module.training for module in loss.model.modules()]
        return modes + [p.requires_grad for p in loss.model.parameters()]


def _version(tensor: Tensor) -> int:
    return -1 if tensor.is_inference() else tensor._version


def _same(tensor: Tensor, copy: Tensor) -> bool:
    return (
        tensor.shape == copy.shape
        and tensor.dtype == copy.dtype
        and tensor.device == copy.device
        and torch.equal(tensor.detach(), copy)
    )

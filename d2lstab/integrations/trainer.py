"""d2l's own `Trainer`, run quietly: the numbers are kept, nothing is drawn."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from d2lstab.arguments import non_negative_number, positive_integer
from d2lstab.integrations.library import load

__all__ = ["TrainerHistory", "d2l_module", "fit", "modes_kept"]


@dataclass(frozen=True, slots=True, eq=False)
class TrainerHistory:
    """What a d2l `Trainer` would have drawn on its board, point by point."""

    train_loss: Tensor  # (updates,) loss of each minibatch before its update, float64
    validation_loss: Tensor  # (epochs,) mean over validation batches, as d2l takes it; or empty
    validation_accuracy: Tensor  # (epochs,) the same for the accuracy, in 0..1; or empty


def d2l_module(model: object, needs: tuple[str, ...]) -> Any:
    """The model itself, checked to be a module that has the attributes in `needs`."""
    missing = [name for name in needs if not hasattr(model, name)]
    if not isinstance(model, nn.Module) or missing:
        raise TypeError(
            f"model must be a d2l.Module, got {type(model).__name__}"
            + (f" without {', '.join(missing)}" if missing else "")
            + ": pass a model such as d2l.LeNet()"
        )
    return model


def fit(
    model: Any, data: Any, max_epochs: int, *, gradient_clip_val: float = 0.0
) -> TrainerHistory:
    """Train a d2l model by d2l's own `Trainer`, quietly, and return the numbers.

    The board keeps its points but draws nothing; afterwards it displays as it
    did before, and each module is in its former train or eval mode. Dropout
    and lazy parameters draw from the global RNG: run it inside `seeded(name)`.

    Raises:
        TypeError, ValueError: `model` is no `d2l.Module`, `data` no `d2l.DataModule`, or
            `max_epochs` or `gradient_clip_val` (0: no clipping) out of range.
        ImportError: d2l is not installed.
    """
    needs = ("training_step", "validation_step", "configure_optimizers", "board")
    model = d2l_module(model, needs)
    if not hasattr(data, "train_dataloader"):
        raise TypeError(
            f"data must be a d2l.DataModule, got {type(data).__name__}: pass data_module(...)"
        )
    max_epochs = positive_integer(max_epochs, "max_epochs", "pass the number of epochs")
    clip = non_negative_number(gradient_clip_val, "gradient_clip_val", "pass 0 for no clipping")
    trainer = load().Trainer(max_epochs, gradient_clip_val=clip)
    with _recorded(model) as points, modes_kept(model):
        trainer.fit(model, data)
    return TrainerHistory(
        train_loss=torch.tensor([y for _, y in points.get("train_loss", [])], dtype=torch.float64),
        validation_loss=_mean_by_epoch(points.get("val_loss", [])),
        validation_accuracy=_mean_by_epoch(points.get("val_acc", [])),
    )


@contextmanager
def _recorded(model: Any) -> Iterator[dict[str, list[tuple[float, float]]]]:
    """The points (x, value) of each label drawn on the model's board, which displays nothing."""
    board, points = model.board, {}  # type: ignore[var-annotated]
    display, draw = board.display, board.draw

    def record(x: float, y: Any, label: str, every_n: int = 1) -> None:
        points.setdefault(label, []).append((float(x), float(y)))
        draw(x, y, label, every_n)

    board.display, board.draw = False, record
    try:
        yield points
    finally:
        board.display = display
        del board.draw  # uncovers the method of the class again


@contextmanager
def modes_kept(model: nn.Module) -> Iterator[None]:
    """Each module in its former train or eval mode again on leaving."""
    modes = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def _mean_by_epoch(points: list[tuple[float, float]]) -> Tensor:
    epochs: dict[float, list[float]] = {}
    for x, value in points:
        epochs.setdefault(x, []).append(value)
    means = [math.fsum(values) / len(values) for values in epochs.values()]
    return torch.tensor(means, dtype=torch.float64)

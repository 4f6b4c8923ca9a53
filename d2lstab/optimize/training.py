"""Training: a model, its data and a way to move go in; what happened comes out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import TensorDataset

from d2lstab.arguments import positive_integer
from d2lstab.measure.loss_gradient import check_dense, check_dependence, scalar_loss
from d2lstab.measure.untouched import model_output
from d2lstab.optimize.history import History, Notes, in_mode
from d2lstab.optimize.minibatches import (
    Accuracy,
    Batches,
    Minibatches,
    checked_pair,
    class_accuracy,
    endless,
    source_of_batches,
)
from d2lstab.optimize.progress import progress
from d2lstab.optimize.rule import packed
from d2lstab.optimize.rules import Rule
from d2lstab.optimize.training_checks import (
    check_functions,
    check_scheduler,
    total_updates,
    trained_parameters,
)

__all__ = ["History", "train"]

Gradients = dict[str, Tensor]


def train(
    model: nn.Module,
    data: tuple[Tensor, Tensor] | TensorDataset | Batches,
    optimizer: torch.optim.Optimizer | Rule,
    *,
    loss_fn: Callable[[Any, Tensor], Tensor],
    epochs: int | None = None,
    updates: int | None = None,
    batch_size: int | None = None,
    generator: torch.Generator | None = None,
    validation: tuple[Tensor, Tensor] | TensorDataset | None = None,
    drop_last: bool = False,
    scheduler: LRScheduler | None = None,
    transform: Callable[[Gradients], Gradients] | None = None,
    evaluate_every: int | None = None,
    accuracy: Accuracy | None = None,
    watch: Callable[[nn.Module], object] | None = None,
) -> History:
    """Train a model by mini-batches and tell what happened.

        parameters <- parameters + update(gradient of loss_fn(model(inputs), targets))

    Args:
        model: any module; it is trained in train mode and handed back in the mode,
            and with the `.grad`, it came with.
        data: `(inputs, targets)`, two tensors of N samples: every epoch is shuffled
            with `generator`, every sample comes once, and the last batch may be
            smaller (`drop_last` leaves it out); a full batch is not shuffled. Or any
            re-iterable of `(inputs, targets)` batches, such as a DataLoader, taken in
            its own order: `batch_size` and `generator` are then left out.
        optimizer: a `torch.optim.Optimizer` over the model's parameters, or a rule of
            `d2lstab.optimize.rules`, which moves every parameter that requires a
            gradient and starts from a fresh state.
        loss_fn: `loss_fn(outputs, targets)`, a scalar.
        epochs, updates: how long; exactly one of the two.
        validation: `(inputs, targets)` on which the model is evaluated too.
        scheduler: a torch scheduler, stepped after every update.
        transform: turns the gradients (by parameter name) into those that are used,
            for example `lambda g: clip_by_norm(g, 1.0)[0]`.
        evaluate_every: updates from one evaluation to the next; one epoch unless
            given. The start and the end are always evaluated.
        accuracy: `accuracy(outputs, targets)`; unless given, the share of right
            classes where targets are integers.
        watch: called with the model, in evaluation mode, at each evaluation.

    Returns:
        A `History`. A loss that is NaN or infinite is data: it is recorded and
        training stops, the model staying as it then is.

    Dropout draws from torch's global generator. Progress is shown only to somebody
    who watches (a terminal, a live notebook) and is gone when training is done.

    Raises:
        ValueError: neither or both of epochs and updates; data that are empty, of
            unequal length or NaN; a batch larger than the data; a loss that is not a
            scalar or does not depend on the parameters; another model's optimizer.
        TypeError: an argument of the wrong kind; inputs of another dtype than the model's;
            sparse gradients.

    >>> line = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    >>> _ = nn.init.zeros_(line.weight)
    >>> one = torch.ones(1, 1, dtype=torch.float64)
    >>> sgd = torch.optim.SGD(line.parameters(), lr=0.25)  # halves the error each time
    >>> random = torch.Generator().manual_seed(0)
    >>> history = train(line, (one, one), sgd, loss_fn=nn.functional.mse_loss,
    ...                 updates=3, batch_size=1, generator=random)
    >>> history.losses.tolist()
    [1.0, 0.25, 0.0625]
    """
    check_functions(model, loss_fn, {"transform": transform, "accuracy": accuracy, "watch": watch})
    if evaluate_every is not None:
        positive_integer(evaluate_every, "evaluate_every", "pass a number of updates")
    with torch.inference_mode(False), torch.set_grad_enabled(torch.is_grad_enabled()):
        source = source_of_batches(data, batch_size, generator, drop_last)
        total = total_updates(epochs, updates, len(source))
        every = evaluate_every or len(source)
        examined = {}
        if isinstance(source, Minibatches):
            examined["train"] = (source.inputs, source.targets)
        if validation is not None:
            examined["validation"] = checked_pair(validation, "validation")
        parameters = trained_parameters(model, optimizer)
        move = _mover(parameters, optimizer, scheduler)
        notes = Notes(model, loss_fn, examined, accuracy or class_accuracy, watch)
        with _returned(model), progress(total) as show:
            notes.evaluate(0)
            for made, (inputs, targets) in enumerate(endless(source)):
                loss, gradients = _loss_and_gradients(model, loss_fn, parameters, inputs, targets)
                notes.batch(loss, gradients)
                if notes.diverged_at is None:
                    move(_transformed(gradients, transform))
                    show(made + 1, notes.losses[-1])
                    if (made + 1) % every == 0 or made + 1 == total:
                        notes.evaluate(made + 1)
                if notes.diverged_at is not None or made + 1 == total:
                    break
    return notes.history(len(source))


def _loss_and_gradients(
    model: nn.Module,
    loss_fn: Callable[[Any, Tensor], Tensor],
    parameters: dict[str, nn.Parameter],
    inputs: Tensor,
    targets: Tensor,
) -> tuple[Tensor, Gradients]:
    with torch.enable_grad():
        loss = scalar_loss(loss_fn(model_output(model, inputs), targets))
        check_dependence(loss)
        found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    gradients = {name: g for name, g in zip(parameters, found, strict=True) if g is not None}
    check_dense(gradients)
    return loss.detach(), gradients


def _mover(
    parameters: dict[str, nn.Parameter],
    optimizer: torch.optim.Optimizer | Rule,
    scheduler: LRScheduler | None,
) -> Callable[[Gradients], None]:
    if isinstance(optimizer, torch.optim.Optimizer):
        check_scheduler(scheduler, optimizer)

        def step(gradients: Gradients) -> None:
            for name, parameter in parameters.items():
                parameter.grad = gradients.get(name)
            optimizer.step()
            if scheduler is not None:
                scheduler.step()

        return step
    if scheduler is not None:
        raise ValueError(
            "scheduler must be left out where optimizer is a rule, got one: "
            "give the rule a schedule as its lr"
        )
    plain = {name: parameter.detach() for name, parameter in parameters.items()}
    rule = packed(optimizer, plain)
    state = rule.init(plain)

    def move(gradients: Gradients) -> None:
        nonlocal state
        missing = {n: torch.zeros_like(p) for n, p in plain.items() if n not in gradients}
        updates, state = rule.update(gradients | missing, state, plain)
        for name, parameter in plain.items():
            parameter.add_(updates[name])

    return move


@contextmanager
def _returned(model: nn.Module) -> Iterator[None]:
    """The model in train mode; afterwards its own modes and `.grad` again."""
    before = [(parameter, parameter.grad) for parameter in model.parameters()]
    try:
        with in_mode(model, training=True):
            yield
    finally:
        for parameter, gradient in before:
            parameter.grad = gradient


def _transformed(
    gradients: Gradients, transform: Callable[[Gradients], Gradients] | None
) -> Gradients:
    if transform is None:
        return gradients
    changed = transform(gradients)
    if not isinstance(changed, dict) or changed.keys() != gradients.keys():
        raise ValueError(
            f"transform must return a dict with the names it was given, got {changed!r:.60}: "
            "for clipping pass lambda g: clip_by_norm(g, 1.0)[0]"
        )
    return changed

"""The loss of a model on fixed batches, differentiable, and evaluated without a trace."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from d2lstab.arguments import choice
from d2lstab.measure.untouched import blaming_dtype, checked_model, untouched

__all__ = ["Batch", "BatchLoss", "LossFunction", "batches_of", "check_loss"]

LossFunction = Callable[[Any, Any], Tensor]
Batch = tuple[Any, Any]  # inputs and targets


def batches_of(inputs: Any, targets: Any = None) -> tuple[Batch, ...]:
    """The batches behind `inputs` and `targets`, as pairs that can be gone through again.

    Two tensors are one batch; two lists of tensors are a batch each; without targets any
    other iterable of (inputs, targets) pairs, a DataLoader or a generator, is read once.

    >>> len(batches_of([torch.ones(2), torch.ones(3)], [torch.ones(2), torch.ones(3)]))
    2
    """
    if _is_list(inputs) and _is_list(targets):
        if len(inputs) != len(targets):
            raise ValueError(
                f"targets must have one batch for each of inputs, got {len(targets)} for "
                f"{len(inputs)}: pass as many targets as inputs"
            )
        pairs = list(zip(inputs, targets, strict=True))
    elif targets is None and not isinstance(inputs, Tensor):
        pairs = _read(inputs)
    else:
        return ((inputs, targets),)
    if not pairs:
        raise ValueError("inputs must hold at least one batch, got none: pass a list of batches")
    return tuple(pairs)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(part, Tensor) for part in value)


def _read(batches: Any) -> list[Batch]:
    required = "inputs must be a tensor, or an iterable of (inputs, targets) batches"
    if not isinstance(batches, Iterable) or isinstance(batches, str | bytes | dict):
        raise TypeError(f"{required}, got {type(batches).__name__}: pass inputs and targets")
    pairs = []
    for pair in batches:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"{required}, got a batch of type {type(pair).__name__}: pass pairs")
        pairs.append((pair[0], pair[1]))
    return pairs


class BatchLoss:
    """loss_fn(model(inputs), targets), over all batches, with the same dropout each time.

    The model runs in the mode it is in. Buffers that the forward pass writes (BatchNorm)
    are copies, the random state is the one of the moment this object was made, and both
    are back in place afterwards, also after an error.
    """

    def __init__(
        self,
        model: nn.Module,
        loss_fn: LossFunction,
        inputs: Any,
        targets: Any = None,
        reduction: str | None = None,
    ) -> None:
        self.model = checked_model(model)
        if not callable(loss_fn):
            raise TypeError(
                f"loss_fn must be a function of outputs and targets, got {type(loss_fn).__name__}: "
                "pass torch.nn.functional.cross_entropy, for example"
            )
        self.loss_fn = loss_fn
        self.parameters = _differentiated(model)
        self.batches = batches_of(inputs, targets)
        _check_samples(self.batches)
        self.weights = _weights(self.batches, loss_fn, reduction)
        device = self.parameters[0].device
        self._random = torch.random.get_rng_state()
        self._cuda = device if device.type == "cuda" else None
        self._cuda_random = torch.cuda.get_rng_state(device) if self._cuda else None

    @contextmanager
    def scope(self) -> Iterator[None]:
        """The context in which the batches of one pass are evaluated."""
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.backends.cudnn.flags(enabled=False),  # its RNNs have no second derivative
            sdpa_kernel(SDPBackend.MATH),  # nor has fused attention
            untouched(self.model),
        ):
            self._reset_random()
            yield

    def __call__(self, index: int) -> Tensor:
        """The weighted loss of batch `index`, with its graph; call it inside `scope()`."""
        inputs, targets = self.batch(index)
        loss = self.loss_fn(self.outputs(inputs), targets)
        check_loss(loss, inputs)
        if not all(p.requires_grad for p in self.parameters):
            raise ValueError(
                "model must leave requires_grad of its parameters as it is, got one that freezes "
                "some in its forward: call requires_grad_(False) on them before"
            )
        return self.weights[index] * loss.reshape(())

    def batch(self, index: int) -> Batch:
        """Batch `index` for one pass: a model that works in place writes into a copy."""
        inputs, targets = self.batches[index]
        if isinstance(targets, Tensor) and targets.is_inference():
            targets = targets.clone()  # autograd would refuse to save it
        return (inputs.clone() if isinstance(inputs, Tensor) else inputs), targets

    def outputs(self, inputs: Any) -> Any:
        """The model's outputs; what the forward pass does to buffers it does to copies."""
        buffers = {name: buffer.clone() for name, buffer in self.model.named_buffers()}
        with blaming_dtype(self.model, inputs):
            if not buffers:
                return self.model(inputs)
            return functional_call(self.model, buffers, (inputs,))

    def _reset_random(self) -> None:
        torch.random.set_rng_state(self._random)
        if self._cuda is not None and self._cuda_random is not None:
            torch.cuda.set_rng_state(self._cuda_random, self._cuda)


def _check_samples(batches: tuple[Batch, ...]) -> None:
    for inputs, _ in batches:
        if isinstance(inputs, Tensor) and inputs.ndim > 0 and len(inputs) == 0:
            raise ValueError(
                f"inputs must hold at least one sample, got shape {tuple(inputs.shape)}: "
                "pass the samples that the loss is averaged over"
            )


def _differentiated(model: nn.Module) -> list[nn.Parameter]:
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError(
            "model must have a parameter that requires a gradient, got none: "
            "call model.requires_grad_(True)"
        )
    dtypes = {p.dtype for p in parameters}
    if len(dtypes) > 1 or not dtypes <= {torch.float32, torch.float64}:
        names = ", ".join(sorted(str(dtype) for dtype in dtypes))
        raise TypeError(
            f"model must have parameters all of float32 or all of float64, got {names}: "
            "convert it with model.float() or model.double(), second derivatives need the digits"
        )
    return parameters


def _weights(batches: tuple[Batch, ...], loss_fn: Any, reduction: str | None) -> list[float]:
    if reduction is None:
        reduction = getattr(loss_fn, "reduction", "mean")
        reduction = reduction if reduction in ("mean", "sum") else "mean"
    if choice(reduction, "reduction", ("mean", "sum")) == "sum" or len(batches) == 1:
        return [1.0] * len(batches)
    sizes = [_size(batch) for batch in batches]
    return [size / sum(sizes) for size in sizes]


def _size(batch: Batch) -> int:
    for part in batch:
        if isinstance(part, Tensor) and part.ndim > 0 and len(part) > 0:
            return len(part)
    raise TypeError(
        "batches must hold tensors with samples along their first axis, got "
        f"{type(batch[0]).__name__}: pass tensors, so that batches are weighted by their size"
    )


def check_loss(loss: Any, inputs: Any) -> None:
    """A finite scalar that depends on the parameters; otherwise an error that says why."""
    if not isinstance(loss, Tensor) or not loss.is_floating_point():
        got = loss.dtype if isinstance(loss, Tensor) else type(loss).__name__
        raise TypeError(f"the loss must be a real scalar tensor, got {got}: return a mean or a sum")
    if loss.numel() != 1:
        raise ValueError(
            f"the loss must be a scalar, got shape {tuple(loss.shape)}: "
            "reduce it with .mean() or .sum()"
        )
    if not bool(torch.isfinite(loss)):
        bad = _not_finite(inputs)
        found = f"the inputs hold {bad} values that are not finite" if bad else "the inputs are"
        found += "" if bad else " finite, so look at the parameters and the targets"
        raise ValueError(f"the loss must be finite, got {loss.item()}: {found}")
    if not loss.requires_grad:
        raise ValueError(
            "the loss must depend on the model's parameters, got one that does not: "
            "compute it with torch operations, without detach() and no_grad()"
        )


def _not_finite(inputs: Any) -> int:
    if isinstance(inputs, Tensor) and inputs.is_floating_point():
        return int((~torch.isfinite(inputs)).sum())
    return 0

"""A model handed to a measurement is given back as it came."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

__all__ = ["blaming_dtype", "checked_model", "model_output", "untouched"]


def checked_model(model: object) -> nn.Module:
    """A `torch.nn.Module` whose parameters exist, with numbers that autograd accepts.

    Raises:
        TypeError: `model` is not a module.
        ValueError: a lazy module has not seen its first batch yet; parameters or buffers on
            the meta device; parameters made in `torch.inference_mode`.

    >>> checked_model(nn.LazyLinear(2))
    Traceback (most recent call last):
        ...
    ValueError: model must have initialized parameters, got LazyLinear with lazy ones: \
run the model once on a batch, so that the sizes are known
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model must be a torch.nn.Module, got {type(model).__name__}: "
            "wrap a function in a module whose forward calls it"
        )
    kind, tensors = type(model).__name__, [t for m in model.modules() for t in _tensors(m)]
    if any(is_lazy(t) for t in tensors):
        raise ValueError(
            f"model must have initialized parameters, got {kind} with lazy ones: "
            "run the model once on a batch, so that the sizes are known"
        )
    if any(t.is_meta for t in tensors):
        raise ValueError(
            f"model must have numbers in its parameters, got {kind} on the meta device: "
            "move it with model.to_empty(device='cpu') and initialize it"
        )
    if any(p.is_inference() for p in model.parameters()):
        raise ValueError(
            "model must have parameters that autograd can record, got "
            f"{kind} made in torch.inference_mode: build or copy.deepcopy it outside of that"
        )
    return model


def _tensors(module: nn.Module) -> list[Tensor]:
    stores = (module._parameters, module._buffers)
    return [t for store in stores for t in store.values() if t is not None]


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Restore modes, parameters, buffers, `requires_grad` and the global random state.

    Also after an error. The price is one copy of the parameters and buffers, held while the
    block runs. Gradients (`.grad`) are not saved: code inside uses `torch.autograd.grad`, which
    leaves them alone.

    >>> model = nn.BatchNorm1d(1)
    >>> with untouched(model):
    ...     out = model(torch.tensor([[1.0], [3.0]]))
    >>> model.running_mean, model.num_batches_tracked.item()
    (tensor([0.]), 0)
    """
    modes = [(module, module.training) for module in model.modules()]
    stores: list[Any] = [s for module, _ in modes for s in (module._parameters, module._buffers)]
    places = [(store, k, t) for store in stores for k, t in store.items() if t is not None]
    required = [(t, t.requires_grad) for _, _, t in places]
    copies = _flat_copies([t for _, _, t in places])
    devices = {t.device.index for _, _, t in places if t.device.type == "cuda"}
    with torch.random.fork_rng(devices=sorted(devices)):
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training
            for store, name, tensor in places:
                if store.get(name) is not tensor:
                    store[name] = tensor
            _require_as_before(required)
            _put_back(copies)


def _require_as_before(required: list[tuple[Tensor, bool]]) -> None:
    for tensor, before in required:
        if tensor.requires_grad == before:
            continue
        if tensor.is_leaf:
            tensor.requires_grad_(before)
        elif not tensor._is_view():  # a buffer that was updated with a graph; no view can let go
            tensor.detach_()


_Copies = list[tuple[list[Tensor], Tensor]]


def _flat_copies(tensors: list[Tensor]) -> _Copies:
    # one copy a dtype and device: sixty small copies would cost more than the rest together
    alike: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for tensor in tensors:
        alike.setdefault((tensor.dtype, tensor.device), []).append(tensor)
    return [(group, _flat(group)) for group in alike.values()]


def _flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([t.detach().reshape(-1) for t in tensors])


def _put_back(copies: _Copies) -> None:
    # an unneeded write would spoil a graph that the caller still holds, hence the comparisons
    with torch.no_grad():
        for tensors, copy in copies:
            if torch.equal(_flat(tensors), copy):
                continue
            for tensor, part in zip(tensors, copy.split([t.numel() for t in tensors]), strict=True):
                if not torch.equal(tensor.reshape(-1), part):
                    tensor.copy_(part.view_as(tensor))


def model_output(model: nn.Module, inputs: Any, name: str = "inputs") -> Any:
    """model(inputs), where an error that comes of the wrong dtype says so.

    Raises:
        TypeError: as `blaming_dtype`.
    """
    with blaming_dtype(model, inputs, name):
        return model(inputs)


@contextmanager
def blaming_dtype(model: nn.Module, inputs: Any, name: str = "inputs") -> Iterator[None]:
    """Where the block runs the model: an error that comes of the wrong dtype says so.

    Raises:
        TypeError: the model failed, and `inputs` have another dtype than its parameters.

    >>> model_output(nn.Linear(2, 1), torch.ones(1, 2, dtype=torch.float64))
    Traceback (most recent call last):
        ...
    TypeError: inputs must be of the model's dtype torch.float32, got torch.float64: \
convert them with .to(torch.float32)
    """
    try:
        yield
    except RuntimeError as error:
        known = {p.dtype for p in model.parameters() if p.is_floating_point()}
        # only an error is judged: a model may well take integers, or convert by itself
        if isinstance(inputs, Tensor) and known and inputs.dtype not in known:
            dtypes = " or ".join(sorted(map(str, known)))
            raise TypeError(
                f"{name} must be of the model's dtype {dtypes}, got {inputs.dtype}: "
                f"convert them with .to({dtypes})"
            ) from error
        raise

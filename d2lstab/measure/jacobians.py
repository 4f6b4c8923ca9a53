"""Jacobians of a network, whole and layer by layer, and their singular values."""

import torch
from torch import Tensor, nn

from d2lstab.arguments import floating_tensor
from d2lstab.measure.untouched import checked_model, model_output, untouched

__all__ = ["input_output_jacobian", "layer_jacobians", "singular_values"]

_ADVICE = "pass one sample as a vector, or a batch whose first dimension counts the samples"
_LARGEST_BLOCK = 2**22  # entries of the gradients that are computed at once


def input_output_jacobian(model: nn.Module, x: Tensor) -> Tensor:
    """The Jacobian of the model's output by its input, in numerator layout.

    J[i, j] = d y_i / d x_j,  y = model(x), both flattened in row-major order.

    Args:
        model: any module whose output is one tensor, in the mode it is in. Returned as it came.
        x: one sample as a vector of shape (n,), handed to the model as it is; or a batch with
            two or more dimensions, of which the first counts the samples.

    Returns:
        Tensor of shape (m, n) for a vector, (batch, m, n) for a batch: one Jacobian a
        sample. Its dtype and device are those of the model; exact to round-off.
        With dropout in training mode it is the Jacobian of one draw.

    Raises:
        TypeError: `model` is no module, `x` no floating-point tensor of its dtype, or the
            output no tensor.
        ValueError: an empty, scalar or non-finite `x`; a lazy model or one on the meta device;
            an output that cannot be differentiated or does not have one row a sample; a model
            that mixes the samples of the batch, as batch normalization does in training mode,
            so that a sample has no Jacobian of its own.

    Source: Saxe, McClelland and Ganguli (2014); Pennington, Schoenholz and Ganguli (2017).

    >>> model = nn.Linear(2, 1, bias=False)
    >>> _ = nn.init.constant_(model.weight, 3.0)
    >>> input_output_jacobian(model, torch.ones(2))
    tensor([[3., 3.]])
    """
    checked_model(model)
    _check(x)
    with untouched(model), torch.inference_mode(False), torch.enable_grad():
        return _step(model, x)[1]


def singular_values(model: nn.Module, x: Tensor) -> Tensor:
    """The singular values of the input-output Jacobian, in descending order.

    Args and errors are those of `input_output_jacobian`; besides, a Jacobian with NaN or
    infinity is a ValueError.

    Returns:
        Tensor of shape (min(m, n),) for a vector, (batch, min(m, n)) for a batch, of the
        model's dtype; of float32 for half precision, which has no singular value decomposition.

    Source: Pennington, Schoenholz and Ganguli (2017), "Resurrecting the sigmoid".

    >>> model = nn.Linear(2, 2, bias=False)
    >>> with torch.no_grad():
    ...     _ = model.weight.copy_(torch.diag(torch.tensor([1.0, -2.0])))
    >>> singular_values(model, torch.ones(2))
    tensor([2., 1.])
    """
    jacobian = input_output_jacobian(model, x)
    if not jacobian.isfinite().all():
        raise ValueError(
            "the Jacobian must be finite to have singular values, got NaN or infinity: "
            "look at record_signals for the layer where they begin"
        )
    half = jacobian.dtype.itemsize < torch.float32.itemsize
    return torch.linalg.svdvals(jacobian.float() if half else jacobian)


def layer_jacobians(model: nn.Module, x: Tensor) -> list[Tensor]:
    """The Jacobian of every layer by that layer's own input, in forward order.

    J = J_L ... J_2 J_1,  J_l = d h_l / d h_{l-1},  h_0 = x.

    The layers are the children of a `torch.nn.Sequential`, nested ones taken apart. Any other
    module, such as a residual block, counts as one layer. Arguments, shapes and errors are
    those of `input_output_jacobian`, whose result the product is, to round-off.

    Source: Bengio, Simard and Frasconi (1994), for the gradient as such a product.

    >>> model = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))
    >>> [tuple(j.shape) for j in layer_jacobians(model, torch.ones(3))]
    [(2, 3), (2, 2), (1, 2)]
    """
    checked_model(model)
    _check(x)
    found = []
    with untouched(model), torch.inference_mode(False), torch.enable_grad():
        for layer in _layers(model):
            x, jacobian = _step(layer, x)
            found.append(jacobian)
    return found


def _layers(model: nn.Module) -> list[nn.Module]:
    if not isinstance(model, nn.Sequential) or len(model) == 0:
        return [model]
    return [layer for child in model for layer in _layers(child)]


def _check(x: Tensor) -> None:
    floating_tensor(x, "x", _ADVICE)
    if x.ndim == 0:
        raise ValueError(f"x must have at least one dimension, got a scalar: {_ADVICE}")
    if not x.isfinite().all():
        raise ValueError("x must be finite, got NaN or infinity: remove such samples first")


def _step(module: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    # a copy: an in-place activation may write into what it is given, but not into a leaf
    leaf = x.detach().clone().requires_grad_()
    y = model_output(module, leaf.clone(), "x")
    _check_output(y, x)
    samples = 1 if x.ndim == 1 else len(x)
    rows = y.reshape(samples, -1)
    _check_independence(rows, leaf)
    size = rows.shape[1]
    block = max(1, _LARGEST_BLOCK // max(leaf.numel(), rows.numel()))
    eye = torch.eye(size, dtype=y.dtype, device=y.device).unsqueeze(1).expand(-1, samples, -1)
    parts = [_pulled_back(rows, leaf, part) for part in eye.split(block)]
    jacobian = torch.cat(parts).transpose(0, 1).contiguous()
    return y.detach(), jacobian[0] if x.ndim == 1 else jacobian


def _pulled_back(rows: Tensor, leaf: Tensor, part: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(
        rows, leaf, part, is_grads_batched=True, retain_graph=True, allow_unused=True
    )
    if found is None:  # the output does not depend on x
        return leaf.new_zeros(len(part), len(rows), leaf.numel() // len(rows))
    return found.reshape(len(part), len(rows), -1)


def _check_output(y: object, x: Tensor) -> None:
    if not isinstance(y, Tensor) or not y.is_floating_point():
        got = y.dtype if isinstance(y, Tensor) else type(y).__name__
        raise TypeError(
            f"the model's output must be one floating-point tensor, got {got}: "
            "wrap the model in a module that returns the part you want"
        )
    if not y.requires_grad:
        raise ValueError(
            "the model's output must be differentiable by x, got one without gradient: "
            "leave out detach, argmax and no_grad"
        )
    if x.ndim > 1 and (y.ndim == 0 or len(y) != len(x)):
        raise ValueError(
            f"the model's output must have one row for each of {len(x)} samples, "
            f"got shape {tuple(y.shape)}: {_ADVICE}"
        )


def _check_independence(rows: Tensor, leaf: Tensor) -> None:
    if len(rows) < 2:
        return
    # unequal weights: a sum over the outputs may be blind, as after a softmax
    weights = torch.linspace(1, 2, rows.shape[1], dtype=rows.dtype, device=rows.device)
    (by_x,) = torch.autograd.grad(
        (rows[0] * weights).sum(), leaf, retain_graph=True, materialize_grads=True
    )
    if not (by_x[1:] == 0).all():
        raise ValueError(
            "the model must treat every sample by itself, got one that mixes the batch, "
            "as batch normalization does in training mode: call model.eval() first"
        )

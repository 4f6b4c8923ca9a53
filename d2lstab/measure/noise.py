"""The noise of a mini-batch gradient, exact from the gradients of single samples."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from d2lstab.arguments import positive_integer
from d2lstab.measure.sample_gradients import SampleGradients
from d2lstab.measure.untouched import checked_model, untouched

__all__ = ["GradientNoise", "gradient_noise"]

Loss = Callable[[Any, Tensor], Tensor]
BYTES = 2**24  # of gradients held at once unless told otherwise: 16 MB


@dataclass(frozen=True, slots=True, eq=False)
class GradientNoise:
    """How single samples' gradients scatter around their mean."""

    trace: float  # tr(Sigma) = mean_i ||g_i - g||^2, divided by N; unit: squared gradient
    squared_norm: float  # ||g||^2 of the mean gradient g; unit: squared gradient
    simple_scale: float  # trace / squared_norm, the simple noise scale, in samples
    samples: int  # N


def gradient_noise(
    model: nn.Module, loss_fn: Loss, inputs: Tensor, targets: Tensor, *, chunk: int | None = None
) -> GradientNoise:
    """Measure the covariance trace of the per-sample gradients, and their mean's length.

        g = (1/N) sum_i g_i,    tr(Sigma) = (1/N) sum_i ||g_i - g||^2
        B_simple = tr(Sigma) / ||g||^2

    The gradient of a batch of B of these N samples, drawn without replacement, scatters
    with E||g_B - g||^2 = tr(Sigma)/B (N - B)/(N - 1).

    Args:
        model: any module that treats the samples of a batch independently; it is measured
            in the mode it is in and is not changed. What `torch.func.vmap` cannot batch, such
            as recurrent layers, is run on one sample after another, which takes longer.
        loss_fn: `loss_fn(outputs, targets)`, a scalar; it is called on single samples, so
            that averaging and summing losses give the same g_i.
        inputs, targets: N samples along the first axis.
        chunk: samples whose gradients are held at once; 16 MB of them unless given.

    Exact up to round-off in the model's dtype; small noise on a long gradient is
    not lost, because where sums of squares would cancel the deviations themselves are summed.

    Raises:
        ValueError: batch normalization in train mode or without running statistics, active
            dropout or other draws, data that are empty, of unequal length or not finite, no
            trainable parameter, a loss that is not a scalar or does not depend on the parameters.
        TypeError: an argument of the wrong kind; inputs of another dtype than the model's;
            complex parameters; sparse gradients.

    Source: McCandlish et al. (2018), the simple noise scale.

    >>> line = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.zeros_(line.weight)
    >>> x, y = torch.ones(2, 1), torch.tensor([[-1.0], [-2.0]])
    >>> noise = gradient_noise(line, nn.functional.mse_loss, x, y)  # gradients 2 and 4
    >>> noise.trace, noise.squared_norm
    (1.0, 9.0)
    """
    _check(model, loss_fn, inputs, targets)
    gradients = SampleGradients(model, loss_fn)
    parameters = gradients.parameters
    if not parameters:
        raise ValueError(
            "model must have parameters that require a gradient, got none: "
            "call requires_grad_() on those whose gradient is meant"
        )
    sample = sum(p.numel() * p.element_size() for p in parameters.values())
    size = max(1, BYTES // sample) if chunk is None else positive_integer(chunk, "chunk")
    count, scatter = 0, 0.0
    mean = [torch.zeros(p.numel(), dtype=torch.float64) for p in parameters.values()]
    with untouched(model):
        for x, y in zip(inputs.split(size), targets.split(size), strict=True):
            total = count + len(x)
            for i, rows in enumerate(gradients(x, y)):
                center = rows.mean(0)
                scatter += _scatter(rows, center)
                # Chan, Golub and LeVeque (1983): two groups' sums of squares around one mean.
                step = center.double().cpu() - mean[i]
                scatter += step.square().sum().item() * count * len(x) / total
                mean[i] += step * (len(x) / total)
            count = total
    trace, squared_norm = scatter / count, sum(m.square().sum().item() for m in mean)
    scale = trace / squared_norm if squared_norm else (math.inf if trace else math.nan)
    return GradientNoise(trace, squared_norm, scale, count)


def _scatter(rows: Tensor, center: Tensor) -> float:
    """sum_i ||row_i - center||^2, where center is the mean of the rows."""
    total = _squared_norm(rows)
    rest = total - len(rows) * center.double().square().sum().item()
    # At most one digit cancels; otherwise the deviations are formed, at three times the cost.
    return rest if rest >= total / 10 else _squared_norm(rows - center)


def _squared_norm(rows: Tensor) -> float:
    # Row by row in the rows' dtype, and only the sum over rows in float64: no large copy.
    return torch.linalg.vector_norm(rows, dim=1).double().square().sum().item()


def _check(model: Any, loss_fn: Any, inputs: Any, targets: Any) -> None:
    for name, p in checked_model(model).named_parameters():
        if p.is_complex():
            raise TypeError(
                f"model must have real parameters, got {name} of {p.dtype}: "
                "hold its real and imaginary part as two parameters"
            )
    if not callable(loss_fn):
        raise TypeError(
            f"loss_fn must be a function of outputs and targets, got {type(loss_fn).__name__}: "
            "pass torch.nn.functional.cross_entropy, for example"
        )
    for name, tensor in (("inputs", inputs), ("targets", targets)):
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name} must be a tensor, got {type(tensor).__name__}: pass one")
        if tensor.ndim == 0 or len(tensor) == 0:
            raise ValueError(
                f"{name} must hold at least one sample along the first axis, "
                f"got shape {tuple(tensor.shape)}: pass (samples, ...)"
            )
        if not bool(tensor.isfinite().all()):
            raise ValueError(
                f"{name} must be finite, got NaN or infinite values: clean the data first"
            )
    if len(inputs) != len(targets):
        raise ValueError(
            f"inputs and targets must be equally many, got {len(inputs)} and {len(targets)}: "
            "pass one target for each sample"
        )
    for name, module in model.named_modules():
        _check_module(name or type(module).__name__, module)


def _check_module(name: str, module: nn.Module) -> None:
    # By name too: a batch normalization written from scratch couples its samples as well.
    batch_norm = "BatchNorm" in type(module).__name__
    running = getattr(module, "running_mean", 0) is not None
    if batch_norm and (module.training or not running):
        raise ValueError(
            "model must treat the samples of a batch independently, got batch normalization "
            f"over the batch in {name}: call model.eval(), with running statistics"
        )
    dropout = isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0
    if dropout and module.training:
        raise ValueError(
            f"model must be deterministic, got active dropout in {name}: call model.eval(), "
            "otherwise the noise would be dropout's as well as the data's"
        )

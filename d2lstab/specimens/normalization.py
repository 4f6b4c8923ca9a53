"""Batch and layer normalization from scratch, as plain as their equations."""

import torch
from torch import Tensor, nn

from d2lstab.arguments import (
    floating_tensor,
    non_negative_number,
    number_between,
    positive_integer,
    random_generator,
)

__all__ = ["BatchNorm", "LayerNorm", "NoisyBatchNorm"]


class BatchNorm(nn.Module):
    """Batch normalization of dense inputs (N, C) or images (N, C, H, W), for each of C features.

        y = gamma (x - mean) / sqrt(variance + eps) + beta

    In training, mean and (biased) variance are those of the batch, over N or over N, H and W,
    and the running statistics follow, the running variance with the unbiased one:

        running = (1 - momentum) running + momentum * batch

    so that torch's momentum of 0.1 keeps 0.9 of the past; `momentum=None` is the plain average
    over all batches so far. In evaluation the running statistics are used. Parameters
    `weight` (gamma, from 1) and `bias` (beta, from 0); buffers as in `torch.nn.BatchNorm1d`
    and `BatchNorm2d`, whose outputs, gradients and running statistics it equals to round-off.

    Raises:
        ValueError: `num_features` or `momentum` out of range, an input of another shape, or
            a training batch with a single value per feature, which has no variance.

    Source: Ioffe and Szegedy (2015), algorithms 1 and 2.

    >>> BatchNorm(1, eps=0.0)(torch.tensor([[1.0], [3.0]])).flatten().tolist()
    [-1.0, 1.0]
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1) -> None:
        super().__init__()
        self.num_features = positive_integer(num_features, "num_features")
        self.eps = non_negative_number(eps, "eps")
        self.momentum = None if momentum is None else number_between(momentum, "momentum", 0, 1)
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, inputs: Tensor) -> Tensor:
        """The normalized inputs, in their shape."""
        self._check(inputs)
        others = [d for d in range(inputs.dim()) if d != 1]  # all but the features
        shape = [1, -1] + [1] * (inputs.dim() - 2)
        if self.training:
            mean = inputs.mean(dim=others)
            variance = (inputs - mean.reshape(shape)).square().mean(dim=others)
            self._follow(mean, variance, count=inputs.numel() // self.num_features)
        else:
            mean, variance = self.running_mean, self.running_var
        normalized = (inputs - mean.reshape(shape)) / (variance.reshape(shape) + self.eps).sqrt()
        return self.weight.reshape(shape) * normalized + self.bias.reshape(shape)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        self.num_batches_tracked += 1
        share = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        unbiased = variance * count / (count - 1)
        self.running_mean.mul_(1 - share).add_(share * mean)
        self.running_var.mul_(1 - share).add_(share * unbiased)

    def _check(self, inputs: Tensor) -> None:
        advice = f"pass (N, {self.num_features}) or (N, {self.num_features}, H, W)"
        floating_tensor(inputs, "inputs", advice)
        if inputs.dim() not in (2, 4) or inputs.shape[1] != self.num_features:
            raise ValueError(
                f"inputs must have 2 or 4 dimensions and {self.num_features} features, "
                f"got shape {tuple(inputs.shape)}: {advice}"
            )
        if self.training and inputs.numel() == self.num_features:
            raise ValueError(
                "inputs must hold more than one value per feature in training, "
                f"got shape {tuple(inputs.shape)}: a batch of one has no variance"
            )

    def extra_repr(self) -> str:
        """What print(module) shows."""
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


class NoisyBatchNorm(BatchNorm):
    """Batch normalization followed by random shifts and scales, new ones at every step.

        y' = (1 + scale e1) y + shift e2,    e = a + jitter b

    with a ~ N(0, 1) drawn for each feature and step and shared by the batch, and b ~ N(0, 1)
    for each sample and feature. The mean and the scale of every output jump from step to
    step: it undoes the stability of the distributions and keeps the rest. If batch
    normalization worked by steadying its outputs, this should ruin it. Only in training; one
    e1 and e2 for all places of an image.

    Source: Santurkar, Tsipras, Ilyas and Madry (2018), section 2.1; their noise is of this
    kind (mean and scale that change at every step), with other distributions.

    >>> noisy = NoisyBatchNorm(2, generator=torch.Generator().manual_seed(0)).eval()
    >>> noisy(torch.tensor([[0.0, 1.0]])).shape
    torch.Size([1, 2])
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        *,
        scale: float = 0.5,
        shift: float = 0.5,
        jitter: float = 0.2,
        generator: torch.Generator,
    ) -> None:
        super().__init__(num_features, eps, momentum)
        self.scale = non_negative_number(scale, "scale")
        self.shift = non_negative_number(shift, "shift")
        self.jitter = non_negative_number(jitter, "jitter")
        self.generator = random_generator(generator)

    def forward(self, inputs: Tensor) -> Tensor:
        """The normalized inputs, with noise in training."""
        outputs = super().forward(inputs)
        if not self.training:
            return outputs
        places = [1] * (inputs.dim() - 2)
        common = self._draw(1, self.num_features, *places)
        noise = (common + self.jitter * self._draw(*inputs.shape[:2], *places)).to(outputs)
        return (1 + self.scale * noise[0]) * outputs + self.shift * noise[1]

    def _draw(self, *shape: int) -> Tensor:
        source = self.generator
        return torch.randn(2, *shape, generator=source, device=source.device)


class LayerNorm(nn.Module):
    """Normalization of each sample over its last dimension; no batch, no running statistics.

        y = gamma (x - mean) / sqrt(variance + eps) + beta

    with the mean and the biased variance of the sample's own features; the same in training
    and evaluation, and for a batch of one. Equal to `torch.nn.LayerNorm(num_features)`.

    Raises:
        ValueError: the last dimension is not `num_features`.

    Source: Ba, Kiros and Hinton (2016), section 3.

    >>> LayerNorm(2, eps=0.0)(torch.tensor([1.0, 3.0])).tolist()
    [-1.0, 1.0]
    """

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.num_features = positive_integer(num_features, "num_features")
        self.eps = non_negative_number(eps, "eps")
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))

    def forward(self, inputs: Tensor) -> Tensor:
        """The normalized inputs, in their shape."""
        floating_tensor(inputs, "inputs", f"pass shape (..., {self.num_features})")
        if inputs.dim() == 0 or inputs.shape[-1] != self.num_features:
            raise ValueError(
                f"inputs must be of shape (..., {self.num_features}), got {tuple(inputs.shape)}: "
                "the last dimension holds the features"
            )
        centered = inputs - inputs.mean(dim=-1, keepdim=True)
        variance = centered.square().mean(dim=-1, keepdim=True)
        return self.weight * centered / (variance + self.eps).sqrt() + self.bias

    def extra_repr(self) -> str:
        """What print(module) shows."""
        return f"{self.num_features}, eps={self.eps}"

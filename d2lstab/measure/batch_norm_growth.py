"""How gradients grow through many layers of batch normalization, simulated in wide layers."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from d2lstab.arguments import natural_number, positive_integer, random_generator
from d2lstab.elementwise import Activation, activation

__all__ = ["log_gradient_growths"]

_MOST_NUMBERS = 2**23  # held at once for the way back, weights and activations: 32 MB


def log_gradient_growths(
    width: int,
    batch_size: int,
    networks: int,
    *,
    generator: torch.Generator,
    phi: Activation = "relu",
    depth: int = 24,
    margin: int = 4,
) -> Tensor:
    """The growth of the gradient per layer in random networks with batch normalization.

        x_{l+1} = W_l phi(batch_norm(x_l)),    ln(|dL/dx_first|^2 / |dL/dx_last|^2) / layers

    for a random gradient at the top, W of independent N(0, 1 / width), no gamma, beta and
    eps. The first and the last `margin` layers are left out, so that the batch has reached
    its fixed point. Many networks run as one batched computation.

    Args:
        width: units of every layer.
        batch_size: samples, at least 3: with 2 no gradient passes.
        networks: independent networks.
        generator: draws everything, on its device.
        phi: the activation, a name or a function of a tensor.
        depth: layers in all, at least 2 * margin + 2.
        margin: layers left out at either end.

    Returns:
        float64 tensor of shape (networks,), natural logarithms, computed in float32. Their
        mean differs from the limit of a wide network by terms of order 1 / width.

    Raises:
        ValueError: a size or a depth that is too small, an unknown activation.
        TypeError: `generator` is not a `torch.Generator`.

    Source: Yang et al. (2019), A mean field theory of batch normalization, for the setting.

    >>> random = torch.Generator().manual_seed(0)
    >>> log_gradient_growths(32, 8, 3, generator=random, depth=10).shape
    torch.Size([3])
    """
    n, B = positive_integer(width, "width"), positive_integer(batch_size, "batch_size", minimum=3)
    count = positive_integer(networks, "networks")
    ends = natural_number(margin, "margin")
    layers = positive_integer(depth, "depth", "pass 24, say", minimum=2 * ends + 2)
    function = activation(phi)
    random_generator(generator)
    # A layer keeps its weights and, of the normalization, some five tensors like its input.
    at_once = max(1, _MOST_NUMBERS // (layers * n * (n + 5 * B)))
    groups = [min(at_once, count - done) for done in range(0, count, at_once)]
    with torch.inference_mode(False), torch.enable_grad():
        grown = [_grown(size, n, B, layers, ends, function, generator) for size in groups]
    return torch.cat(grown) / (layers - 1 - 2 * ends)


def _grown(
    count: int,
    n: int,
    B: int,
    layers: int,
    ends: int,
    function: Callable[[Tensor], Tensor],
    generator: torch.Generator,
) -> Tensor:
    """ln of the squared gradient at the first over that at the last layer counted, (count,)."""
    device, found = generator.device, []
    x = torch.randn(count, n, B, generator=generator, device=device).requires_grad_()
    for _ in range(layers):
        found.append(x)
        centered = x - x.mean(dim=2, keepdim=True)
        normalized = centered / centered.square().mean(dim=2, keepdim=True).sqrt()
        W = torch.randn(count, n, n, generator=generator, device=device) / math.sqrt(n)
        x = W @ function(normalized)
    arriving = torch.randn(x.shape, generator=generator, device=device)
    gradients = torch.autograd.grad(x, [found[ends], found[layers - 1 - ends]], arriving)
    low, high = (g.double().square().sum(dim=(1, 2)).log() for g in gradients)
    return low - high

"""Two residual networks whose order of sum and normalization is that of the first papers."""

import torch
from torch import Tensor, nn

from d2lstab.arguments import positive_integer, random_generator
from d2lstab.specimens.networks import mlp

__all__ = ["batch_norm_resnet", "post_norm_network"]


class _PostNormBlock(nn.Module):
    """norm(h + W2 relu(W1 h)): the sum is normalized, as in the first Transformer."""

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        first, second = _linear(width, width, generator), _linear(width, width, generator)
        self.branch = nn.Sequential(first, nn.ReLU(), second)
        self.norm = nn.LayerNorm(width)

    def forward(self, h: Tensor) -> Tensor:
        """Return norm(h + branch(h))."""
        normalized: Tensor = self.norm(h + self.branch(h))
        return normalized


class _BatchNormBlock(nn.Module):
    """relu(h + norm(W2 relu(norm(W1 h)))): the block of the first ResNet, with dense layers."""

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            _linear(width, width, generator),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            _linear(width, width, generator),
            nn.BatchNorm1d(width),
        )

    def forward(self, h: Tensor) -> Tensor:
        """Return relu(h + branch(h))."""
        return torch.relu(h + self.branch(h))


def post_norm_network(
    inputs: int, width: int, blocks: int, outputs: int, *, generator: torch.Generator
) -> nn.Sequential:
    """A dense residual network that normalizes after each sum.

    h <- norm(h + W2 relu(W1 h)), between a linear layer from `inputs` to `width` and one from
    `width` to `outputs`; layer normalization. The branches' weights are He's (normal), those of
    the ends Xavier's; biases are 0. float32. Adam at a large rate needs a warm-up here.

    Raises:
        TypeError, ValueError: a size that is not a positive integer, or no generator.

    Source: Vaswani et al. (2017), "Attention is all you need", section 3.1, for the order.

    >>> net = post_norm_network(64, 48, 12, 10, generator=torch.Generator().manual_seed(0))
    >>> len(net)
    14
    """
    _check(inputs, width, blocks, outputs, generator)
    first, last = (
        _linear(a, b, generator, "xavier_normal") for a, b in ((inputs, width), (width, outputs))
    )
    return nn.Sequential(first, *(_PostNormBlock(width, generator) for _ in range(blocks)), last)


def batch_norm_resnet(
    inputs: int, width: int, blocks: int, outputs: int, *, generator: torch.Generator
) -> nn.Sequential:
    """A dense residual network with batch normalization in its branches.

    h <- relu(h + norm(W2 relu(norm(W1 h)))), between two linear layers. Weights are He's
    (normal), biases 0. float32. Train it with batches of equal size: batch normalization over
    a last batch of a few samples makes the loss jump.

    Raises:
        TypeError, ValueError: a size that is not a positive integer, or no generator.

    Source: He et al. (2016), "Deep residual learning for image recognition", figure 2.

    >>> net = batch_norm_resnet(64, 48, 12, 10, generator=torch.Generator().manual_seed(0))
    >>> len(net)
    14
    """
    _check(inputs, width, blocks, outputs, generator)
    first, last = _linear(inputs, width, generator), _linear(width, outputs, generator)
    return nn.Sequential(first, *(_BatchNormBlock(width, generator) for _ in range(blocks)), last)


def _check(inputs: int, width: int, blocks: int, outputs: int, generator: object) -> None:
    for name, value in (("inputs", inputs), ("width", width), ("blocks", blocks)):
        positive_integer(value, name, "pass a size such as 48")
    positive_integer(outputs, "outputs", "pass the number of classes")
    random_generator(generator)


def _linear(
    fan_in: int, fan_out: int, generator: torch.Generator, init: str = "he_normal"
) -> nn.Module:
    return mlp([fan_in, fan_out], "linear", init=init, generator=generator)[0]

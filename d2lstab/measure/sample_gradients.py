"""The gradients of single samples: all at once where torch can, one after another elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.backends.mha
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from d2lstab.measure.loss_gradient import check_dense, check_dependence, scalar_loss
from d2lstab.measure.untouched import model_output

__all__ = ["SampleGradients"]


class SampleGradients:
    """A function of a chunk of samples: their gradients by each parameter, a row a sample.

    `torch.func.vmap` takes the samples together. What it cannot batch (recurrent layers, among
    others) is called on batches of one instead, which gives the same and takes longer. Call it
    inside `untouched(model)`.

    >>> line = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.zeros_(line.weight)
    >>> gradients = SampleGradients(line, nn.functional.mse_loss)
    >>> gradients(torch.ones(2, 1), torch.tensor([[-1.0], [-2.0]]))[0].tolist()
    [[2.0], [4.0]]
    """

    def __init__(self, model: nn.Module, loss_fn: Callable[[Any, Tensor], Tensor]) -> None:
        named = dict(model.named_parameters())
        self.parameters = {n: p.detach() for n, p in named.items() if p.requires_grad}
        self._frozen = {n: p.detach() for n, p in named.items() if not p.requires_grad}
        self._model, self._loss_fn = model, loss_fn
        self._together = True

    def __call__(self, x: Tensor, y: Tensor) -> list[Tensor]:
        """The gradients of loss_fn(model(x[i]), y[i]), each of shape (samples, entries)."""
        with torch.inference_mode(False), torch.enable_grad(), _without_fused_attention():
            x, y = (t.clone() if t.is_inference() else t for t in (x, y))  # autograd wants its own
            if self._together:
                try:
                    return self._batched(x, y)
                except RuntimeError as error:
                    # One message for every operation that draws, also from a generator of its own.
                    if "random operation" in str(error):
                        raise ValueError(_RANDOM) from error
                    # Where the reason is the model's own, the loop meets and tells it again.
                    self._together = False
            return self._looped(x, y)

    def _loss(self, trained: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        # Copies, so that a module which writes into its buffers writes into these.
        buffers = {n: b.detach().clone() for n, b in self._model.named_buffers()}
        outputs = functional_call(self._model, (trained, self._frozen, buffers), (x,))
        return scalar_loss(self._loss_fn(outputs, y))

    def _batched(self, x: Tensor, y: Tensor) -> list[Tensor]:
        def loss(own: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
            return self._loss(own, x[None], y[None])

        # Each sample has parameters of its own (views of the same numbers), so the gradient of
        # the sum has a row a sample; torch.func.grad would import torch's compiler.
        own = {n: p.expand(len(x), *p.shape).requires_grad_() for n, p in self.parameters.items()}
        return [g.reshape(len(x), -1) for g in self._gradient(vmap(loss)(own, x, y).sum(), own)]

    def _looped(self, x: Tensor, y: Tensor) -> list[Tensor]:
        random = _random_states(x.device)
        rows = [self._single(x[i : i + 1], y[i : i + 1]) for i in range(len(x))]
        if any(
            not torch.equal(a, b) for a, b in zip(random, _random_states(x.device), strict=True)
        ):
            raise ValueError(_RANDOM)
        return [torch.stack(column) for column in zip(*rows, strict=True)]

    def _single(self, x: Tensor, y: Tensor) -> list[Tensor]:
        own = {n: p.detach().requires_grad_() for n, p in self.parameters.items()}
        try:
            loss = self._loss(own, x, y)
        except RuntimeError:
            model_output(self._model, x)  # fails too, and says so where the dtype is the reason
            raise
        return [g.reshape(-1) for g in self._gradient(loss, own)]

    def _gradient(self, loss: Tensor, own: dict[str, Tensor]) -> list[Tensor]:
        check_dependence(loss)
        found = torch.autograd.grad(
            loss, list(own.values()), allow_unused=True, materialize_grads=True
        )
        check_dense(dict(zip(own, found, strict=True)))
        return list(found)


_RANDOM = (
    "model must be deterministic, got random numbers drawn in its forward pass or its loss: call "
    "model.eval(), and pass training=self.training to dropout as a function, otherwise the noise "
    "would be of the draws as well as of the data"
)


def _random_states(device: torch.device) -> list[Tensor]:
    states = [torch.random.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


@contextmanager
def _without_fused_attention() -> Iterator[None]:
    # Fused, neither attention nor nn.TransformerEncoderLayer in evaluation mode can be batched.
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)

"""The Hessian of a loss as a linear operator: products without the matrix."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from d2lstab.measure.batch_loss import BatchLoss, LossFunction
from d2lstab.measure.snapshot import Snapshot

__all__ = ["HessianOperator"]

_CHUNK = 8  # products at once: on a CPU small chunks stay in the cache


class HessianOperator:
    """The second derivative of the loss by the parameters, applied to vectors.

    H v = d/dtheta <g(theta), v>,   g = d loss / d theta

    by reverse over reverse mode: the graph of the gradient is recorded once and kept for the
    life of the operator, so that a further product costs about one backward pass (1.8
    gradients on a small network, 2.6 with a fresh graph). With several batches nothing is
    kept: each product goes through them, and memory stays that of one batch.

    Args:
        model: any module of float32 or float64 parameters, in the mode it is in; parameters
            with `requires_grad=False` are left out, and one that the loss does not use
            has zero rows and columns.
        loss_fn: `loss_fn(model(inputs), targets)`, a scalar, twice differentiable (where it
            has kinks, as with ReLU, the Hessian is that of the piece it stands on).
        inputs, targets: two tensors; or two lists of batches; or, without `targets`, an
            iterable of (inputs, targets) batches, which is read once and kept.
        reduction: how the losses of several batches combine. "mean" weights each by its
            share of the samples, so that a mean over samples becomes the mean over all
            data, also where the last batch is smaller; "sum" adds them. Unless given,
            `loss_fn.reduction` decides, and "mean" where there is none.

    The operator follows the model: where a parameter, a buffer, a mode or the batch has
    changed, in place or through `.data`, the next product is made from a fresh graph.
    Dropout in train mode uses the same masks in every product, those of the global random
    state when the operator was made. Modes, buffers, `.grad` and the random state are as
    before after every call, also after an error. Not noticed: a change of what `loss_fn`
    itself remembers.

    Raises:
        ValueError: no parameter to differentiate by, no sample, a loss that is not a finite
            scalar or does not depend on the parameters, a vector of the wrong shape or not
            finite; a model without numbers (lazy, on the meta device).
        TypeError: float16 or mixed parameters, inputs of another dtype, sparse gradients, not
            a module, not a function.

    Source: Pearlmutter 1994, "Fast exact multiplication by the Hessian".

    >>> line = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    >>> one = torch.ones(1, 1, dtype=torch.float64)
    >>> hessian = HessianOperator(line, nn.functional.mse_loss, 3 * one, one)  # (3 w - 1)^2
    >>> hessian.matvec(torch.ones(1)).item()
    18.0
    """

    def __init__(
        self,
        model: nn.Module,
        loss_fn: LossFunction,
        inputs: Any,
        targets: Any = None,
        *,
        reduction: str | None = None,
    ) -> None:
        self._loss = BatchLoss(model, loss_fn, inputs, targets, reduction)
        self._parameters = self._loss.parameters
        self._sizes = [p.numel() for p in self._parameters]
        n = sum(self._sizes)
        self.shape = (n, n)
        self.dtype = self._parameters[0].dtype
        self.device = self._parameters[0].device
        self._snapshot: Snapshot | None = None
        self._graph: tuple[Tensor, list[Tensor | None]] | None = None
        self._loss_and_gradients()  # a bad loss is reported now, not at the first product

    @property
    def loss(self) -> float:
        """The loss, over all batches."""
        return float(sum(loss for loss, _ in self._loss_and_gradients()))

    @property
    def gradient(self) -> Tensor:
        """The gradient of the loss, flat, in the order of `model.parameters()`; shape (n,)."""
        total = torch.zeros(self.shape[0], dtype=self.dtype, device=self.device)
        for _, gradients in self._loss_and_gradients():
            total += self._flat([None if g is None else g.detach() for g in gradients])
        return total

    def matvec(self, v: Any) -> Any:
        """H v for one vector of shape (n,); a numpy array gives a numpy array."""
        vector = self._checked(v, (1,))
        return _like(self._products(vector[None])[0], v)

    def __matmul__(self, v: Any) -> Any:
        """H v for a vector (n,), H V for the columns of a matrix (n, k)."""
        vectors = self._checked(v, (1, 2))
        if vectors.ndim == 1:
            return _like(self._products(vectors[None])[0], v)
        chunks = vectors.T.split(_CHUNK) if vectors.shape[1] else []
        rows = [self._products(chunk) for chunk in chunks]
        return _like(torch.cat(rows).T if rows else vectors, v)

    def _checked(self, v: Any, dimensions: tuple[int, ...]) -> Tensor:
        n = self.shape[0]
        wanted = f"v must be a real vector of shape ({n},)" + (
            f" or a matrix of shape ({n}, k)" if 2 in dimensions else ""
        )
        if not isinstance(v, Tensor | np.ndarray):
            raise TypeError(f"{wanted}, got {type(v).__name__}: pass a tensor")
        vector = torch.as_tensor(v)
        if vector.is_complex():
            raise TypeError(f"{wanted}, got {vector.dtype}: pass its real and imaginary parts")
        if vector.ndim not in dimensions or len(vector) != n:
            raise ValueError(
                f"{wanted}, got shape {tuple(vector.shape)}: one entry for each parameter"
            )
        vector = vector.detach().to(self.device, self.dtype)
        if vector.is_inference():  # autograd would refuse to save it
            with torch.inference_mode(False):
                vector = vector.clone()
        if not bool(torch.isfinite(vector).all()):
            raise ValueError(f"{wanted}, got values that are not finite: look for NaN in it")
        return vector

    def _loss_and_gradients(self) -> list[tuple[Tensor, list[Tensor | None]]]:
        if len(self._loss.batches) == 1:
            return [self._cached()]
        with self._loss.scope():
            return [self._differentiated(i, False) for i in range(len(self._loss.batches))]

    def _cached(self) -> tuple[Tensor, list[Tensor | None]]:
        if self._graph is None or self._snapshot is None or not self._snapshot.holds(self._loss):
            self._check_same_parameters()
            self._graph = self._snapshot = None
            with self._loss.scope():
                graph = self._differentiated(0, True)
            self._snapshot, self._graph = Snapshot(self._loss), graph
        return self._graph

    def _check_same_parameters(self) -> None:
        now = [p for p in self._loss.model.parameters() if p.requires_grad]
        same = len(now) == len(self._parameters) and all(
            new is old and new.dtype == self.dtype and new.device == self.device
            for new, old in zip(now, self._parameters, strict=True)
        )
        if not same:
            raise ValueError(
                "model must keep its parameters, dtype and device while an operator is used, "
                "got others: make a new HessianOperator"
            )

    def _differentiated(self, index: int, graph: bool) -> tuple[Tensor, list[Tensor | None]]:
        loss = self._loss(index)
        gradients = torch.autograd.grad(
            loss, self._parameters, create_graph=graph, allow_unused=True
        )
        for p, g in zip(self._parameters, gradients, strict=True):
            if g is not None and g.layout != torch.strided:
                name = next(n for n, q in self._loss.model.named_parameters() if q is p)
                raise TypeError(
                    f"model must have dense gradients, got a sparse one of {name}: build the "
                    "embedding with sparse=False"
                )
        if not all(bool(torch.isfinite(g).all()) for g in gradients if g is not None):
            raise ValueError(
                "the gradient must be finite, got NaN or infinity: look for a square root or "
                "a logarithm at 0 in the model and the loss"
            )
        return loss.detach(), list(gradients)

    def _products(self, rows: Tensor) -> Tensor:
        """H v for each row v of `rows`, at once."""
        if len(self._loss.batches) == 1:
            total = self._vjp(self._cached()[1], rows, keep=True)
        else:
            self._check_same_parameters()
            with self._loss.scope():
                total = torch.zeros_like(rows)
                for i in range(len(self._loss.batches)):
                    total += self._vjp(self._differentiated(i, True)[1], rows, keep=False)
        if not bool(torch.isfinite(total).all()):
            raise ValueError(
                "the Hessian must be finite, got a product with NaN or infinity: look for a "
                "norm or a square root at 0 in the model and the loss"
            )
        return total

    def _vjp(self, gradients: list[Tensor | None], rows: Tensor, keep: bool) -> Tensor:
        if not any(g is not None and g.requires_grad for g in gradients):
            return torch.zeros_like(rows)  # the loss is linear in the parameters
        if len(rows) > 1:
            return self._batched_vjp(gradients, rows, keep)
        with torch.inference_mode(False), torch.enable_grad():
            inner = self._flat(gradients) @ rows[0]  # grad_outputs would import torch's compiler
            found = torch.autograd.grad(
                inner, self._parameters, retain_graph=keep, allow_unused=True
            )
        return self._flat(found)[None]

    def _batched_vjp(self, gradients: list[Tensor | None], rows: Tensor, keep: bool) -> Tensor:
        pieces = rows.split(self._sizes, dim=1)
        outputs, cotangents = [], []
        for gradient, piece, p in zip(gradients, pieces, self._parameters, strict=True):
            if gradient is not None and gradient.requires_grad:
                outputs.append(gradient)
                cotangents.append(piece.reshape(len(rows), *p.shape))
        with torch.inference_mode(False):
            found = torch.autograd.grad(
                outputs,
                self._parameters,
                cotangents,
                retain_graph=keep,
                allow_unused=True,
                is_grads_batched=True,
            )
        return self._flat(found, len(rows))

    def _flat(self, tensors: Any, rows: int | None = None) -> Tensor:
        shape = (-1,) if rows is None else (rows, -1)
        zero = torch.zeros((), dtype=self.dtype, device=self.device)
        parts = [
            (zero.expand(*shape[:-1], p.numel()) if t is None else t.reshape(shape))
            for t, p in zip(tensors, self._parameters, strict=True)
        ]
        return torch.cat(parts, dim=-1)


def _like(result: Tensor, v: Any) -> Any:
    return result.cpu().numpy() if isinstance(v, np.ndarray) else result

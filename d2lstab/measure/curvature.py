"""The curvature of a loss: products, eigenvalues, density, and the whole matrix."""

from typing import Any

import torch
from torch import Tensor, nn

from d2lstab.arguments import positive_integer
from d2lstab.measure.batch_loss import BatchLoss, LossFunction, batches_of
from d2lstab.measure.hessian_operator import HessianOperator
from d2lstab.measure.krylov import local_generator
from d2lstab.measure.lanczos import Eigenpairs, eigenpairs
from d2lstab.measure.spectral_density import SpectralDensity, spectral_density
from d2lstab.measure.structured_hessian import add_structured_hessian, chain_of
from d2lstab.measure.untouched import checked_model

__all__ = [
    "Eigenpairs",
    "HessianOperator",
    "SpectralDensity",
    "eigenpairs",
    "hessian_matrix",
    "spectral_density",
]

_BLOCK = 512  # rows and columns that are mirrored at a time
_CHUNK = 8  # rows at a time, each batch of products staying in the cache


def hessian_matrix(
    model: nn.Module,
    loss_fn: LossFunction,
    inputs: Any,
    targets: Any = None,
    *,
    reduction: str | None = None,
    memory_limit: int = 2**30,
    structured: bool = True,
) -> Tensor:
    """The whole Hessian, by the parameters in the order of `model.parameters()`.

    H_ij = d2 loss / d theta_i d theta_j

    Args:
        model, loss_fn, inputs, targets, reduction: as for `HessianOperator`.
        memory_limit: bytes that the matrix may take, 1 GiB unless given. The memory beside
            it is that of the gradient's graph and of 8 rows being made.
        structured: use the structure of a plain chain (`nn.Sequential` of linear layers
            and element-wise activations) where the model is one, several times faster. One
            product confirms it, otherwise, as for every other model, rows are products with
            unit vectors, 8 at a time.

    Returns:
        Shape (n, n), exactly symmetric, of the parameters' dtype, on their device. Round-off
        is of order eps ||H||.

    Raises:
        ValueError: the matrix would take more than `memory_limit`; as `HessianOperator`.
        TypeError: as `HessianOperator`.

    Source: Bishop 1992, "Exact calculation of the Hessian matrix for the multilayer
    perceptron", for the structured way.

    >>> line = nn.Linear(2, 1, dtype=torch.float64)
    >>> x, y = torch.tensor([[1.0, 2.0]]).double(), torch.zeros(1, 1).double()
    >>> hessian_matrix(line, nn.functional.mse_loss, x, y)  # 2 (x, 1)' (x, 1)
    tensor([[2., 4., 2.],
            [4., 8., 4.],
            [2., 4., 2.]], dtype=torch.float64)
    """
    memory_limit = positive_integer(memory_limit, "memory_limit", "pass a number of bytes")
    parameters = [p for p in checked_model(model).parameters() if p.requires_grad]
    n = sum(p.numel() for p in parameters)
    needed = n * n * (parameters[0].dtype.itemsize if parameters else 0)
    if needed > memory_limit:
        raise ValueError(
            f"memory_limit must be at least {needed} bytes for the {n} by {n} matrix, got "
            f"{memory_limit}: raise it, or use HessianOperator with eigenpairs"
        )
    batches = batches_of(inputs, targets)  # once: a generator can be read once only
    operator = HessianOperator(model, loss_fn, batches, reduction=reduction)
    if structured:
        matrix = _structured(BatchLoss(model, loss_fn, batches, None, reduction), operator)
        if matrix is not None:
            return matrix
    matrix = torch.empty(operator.shape, dtype=operator.dtype, device=operator.device)
    for start in range(0, n, _CHUNK):
        units = torch.zeros(n, min(_CHUNK, n - start), dtype=matrix.dtype, device=matrix.device)
        units[start : start + _CHUNK].fill_diagonal_(1)
        matrix[start : start + _CHUNK] = (operator @ units).T
    _symmetrize(matrix)
    return matrix


def _structured(loss: BatchLoss, operator: HessianOperator) -> Tensor | None:
    chain = chain_of(loss.model)
    if chain is None or not all(isinstance(inputs, Tensor) for inputs, _ in loss.batches):
        return None
    with loss.scope():
        out = torch.zeros(operator.shape, dtype=operator.dtype, device=operator.device)
        for i, weight in enumerate(loss.weights):
            inputs, targets = loss.batch(i)

            def on_outputs(z: Tensor, targets: Any = targets, weight: float = weight) -> Tensor:
                return weight * loss.loss_fn(z, targets).reshape(())

            if not add_structured_hessian(chain, on_outputs, inputs, out):
                return None
    _symmetrize(out, mirror=True)
    v = torch.randn(len(out), generator=local_generator(out.device), dtype=out.dtype,
                    device=out.device)  # fmt: skip
    exact = operator.matvec(v)
    error, size = float((out @ v - exact).norm()), float(exact.norm())
    # a wrong assumption is wrong by far more than this, round-off by far less
    return out if error <= torch.finfo(out.dtype).eps ** 0.5 * size else None


def _symmetrize(matrix: Tensor, mirror: bool = False) -> None:
    """(A + A') / 2 in place, or the upper triangle copied to the lower one."""
    n = len(matrix)
    for i in range(0, n, _BLOCK):
        for j in range(i, n, _BLOCK):
            upper = matrix[i : i + _BLOCK, j : j + _BLOCK]
            lower = matrix[j : j + _BLOCK, i : i + _BLOCK]
            if mirror and i == j:
                upper.copy_(upper.triu() + upper.triu(1).T)
            elif mirror:
                lower.copy_(upper.T)
            else:
                mean = (upper + lower.T) / 2
                upper.copy_(mean)
                lower.copy_(mean.T)

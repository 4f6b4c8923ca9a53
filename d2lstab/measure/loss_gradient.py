"""What a loss and its gradient must be: one real number, that depends on the model, and dense."""

from typing import Any

from torch import Tensor

__all__ = ["check_dense", "check_dependence", "scalar_loss"]


def scalar_loss(loss: Any) -> Tensor:
    """The loss, if it is one real number; NaN and infinity are left to the caller.

    Raises:
        TypeError: it is no tensor.
        ValueError: it has axes, or is not of a real floating-point dtype.
    """
    if not isinstance(loss, Tensor):
        raise TypeError(
            f"loss_fn must return a scalar tensor, got {type(loss).__name__}: "
            "pass a function such as torch.nn.functional.cross_entropy"
        )
    if loss.ndim != 0 or not loss.is_floating_point():
        raise ValueError(
            f"loss_fn must return a real scalar, got shape {tuple(loss.shape)} of {loss.dtype}: "
            'average over the batch, for example with reduction="mean"'
        )
    return loss


def check_dependence(loss: Tensor, whose: str = "model's") -> None:
    """Refuse a loss whose gradient torch cannot form.

    Raises:
        ValueError: the loss does not depend on a parameter that requires a gradient.
    """
    if not loss.requires_grad:
        raise ValueError(
            f"the loss must depend on the {whose} parameters, got one that does not: "
            "compute it with torch operations, without detach() and no_grad()"
        )


def check_dense(gradients: dict[str, Tensor]) -> None:
    """Refuse sparse gradients, in which our arithmetic is not defined.

    Raises:
        TypeError: the gradient by a parameter is sparse.
    """
    for name, gradient in gradients.items():
        if gradient.is_sparse:
            raise TypeError(
                f"model must have dense gradients, got sparse ones for {name}: "
                "build the embedding with sparse=False"
            )

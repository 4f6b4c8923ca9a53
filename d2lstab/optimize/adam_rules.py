"""Adam and its kin: a moving average of the gradient over one of its magnitude."""

from typing import Any

from d2lstab.arguments import non_negative_number, number_between
from d2lstab.optimize.rule import Rate, Rule, elementwise_rule, larger, root

__all__ = ["adam", "adamw", "amsgrad", "radam"]


def adam(
    lr: Rate,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    *,
    bias_correction: bool = True,
) -> Rule:
    """Adam: momentum over root mean square, both corrected for their start at 0.

        m <- beta1 m + (1 - beta1) g,    v <- beta2 v + (1 - beta2) g^2
        theta <- theta - lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)

    The first step is lr g / (|g| + eps). Without `bias_correction` both divisions are left
    out and the first step is (1 - beta1) / sqrt(1 - beta2) = 3.16 times as long. Equals
    `torch.optim.Adam`; `weight_decay` * theta is added to g, as there.

    Raises:
        ValueError, TypeError: betas outside [0, 1), a negative or non-numeric argument.

    Source: Kingma and Ba (2015), Algorithm 1.

    >>> import torch
    >>> rule, x = adam(0.1), torch.tensor([0.0])
    >>> rule.update(torch.tensor([-7.0]), rule.init(x), x)[0]
    tensor([0.1000])
    """
    return _adam(lr, betas, eps, weight_decay, correct=bias_correction)


def amsgrad(
    lr: Rate,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> Rule:
    """AMSGrad: Adam that divides by the root of the largest v it has seen.

        w <- max(w, v),    theta <- theta - lr m / (1 - beta1^t) / (sqrt(w / (1 - beta2^t)) + eps)

    A rare large gradient is not forgotten. Equals `torch.optim.Adam(amsgrad=True)`.

    Raises:
        ValueError, TypeError: as `adam`.

    Source: Reddi, Kale and Kumar (2018), Algorithm 2, which leaves the corrections out.

    >>> import torch
    >>> rule, x = amsgrad(0.1), torch.tensor([0.0])
    >>> rule.update(torch.tensor([-7.0]), rule.init(x), x)[0]
    tensor([0.1000])
    """
    return _adam(lr, betas, eps, weight_decay, largest=True)


def adamw(
    lr: Rate,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
) -> Rule:
    """AdamW: Adam whose weight decay does not pass through the division.

        theta <- (1 - lr weight_decay) theta - (Adam's step from the bare gradient)

    Equals `torch.optim.AdamW`, its weight decay of 0.01 included.

    Raises:
        ValueError, TypeError: as `adam`.

    Source: Loshchilov and Hutter (2019), Algorithm 2.

    >>> import torch
    >>> rule, x = adamw(0.1, weight_decay=0.5), torch.tensor([2.0])
    >>> rule.update(torch.tensor([0.0]), rule.init(x), x)[0]
    tensor([-0.1000])
    """
    return _adam(lr, betas, eps, weight_decay, decoupled=True)


def _adam(
    lr: Rate,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    *,
    correct: bool = True,
    largest: bool = False,
    decoupled: bool = False,
) -> Rule:
    beta1, beta2, small, decay = _checked(betas, eps, weight_decay)

    def step(g: Any, p: Any, slots: Any, rate: float, t: int) -> Any:
        if decay and not decoupled:
            g = g + decay * p
        mean = beta1 * slots[0] + (1 - beta1) * g
        square = beta2 * slots[1] + (1 - beta2) * (g * g)
        memory: tuple[Any, ...] = (mean, square)
        if largest:
            square = larger(slots[2], square)
            memory = (*memory, square)
        first, second = (1 - beta1**t, 1 - beta2**t) if correct else (1.0, 1.0)
        change = -rate / first * mean / (root(square) / second**0.5 + small)
        if decay and decoupled:
            change = change - rate * decay * p
        return change, memory

    slots = ("mean", "square") + ("largest_square",) * largest
    return elementwise_rule(lr, slots, step)


def radam(
    lr: Rate,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> Rule:
    """RAdam: Adam that does not divide until its v has seen enough gradients.

        rho_t = rho - 2 t beta2^t / (1 - beta2^t),    rho = 2 / (1 - beta2) - 1
        rho_t > 5:  theta <- theta - lr r_t m^ / ((sqrt(v) + eps) / sqrt(1 - beta2^t))
        otherwise:  theta <- theta - lr m^,    m^ = m / (1 - beta1^t)
        r_t^2 = (rho_t - 4) (rho_t - 2) rho / ((rho - 4) (rho - 2) rho_t)

    Equals `torch.optim.RAdam`. The paper switches at rho_t > 4, one step earlier with the
    default betas. The steps before are as long as the gradient: beware of large ones.

    Raises:
        ValueError, TypeError: as `adam`.

    Source: Liu et al. (2020), Algorithm 2.

    >>> import torch
    >>> rule, x = radam(0.01), torch.tensor([0.0])
    >>> rule.update(torch.tensor([3.7]), rule.init(x), x)[0]
    tensor([-0.0370])
    """
    beta1, beta2, small, decay = _checked(betas, eps, weight_decay)
    longest = 2 / (1 - beta2) - 1

    def step(g: Any, p: Any, slots: Any, rate: float, t: int) -> Any:
        g = g + decay * p if decay else g
        mean = beta1 * slots[0] + (1 - beta1) * g
        square = beta2 * slots[1] + (1 - beta2) * (g * g)
        scale, second = rate / (1 - beta1**t), 1 - beta2**t
        length = longest - 2 * t * beta2**t / second
        if not length > 5:
            return -scale * mean, (mean, square)
        ratio = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
        return -scale * (ratio * second) ** 0.5 * mean / (root(square) + small), (mean, square)

    return elementwise_rule(lr, ("mean", "square"), step)


def _checked(betas: Any, eps: float, weight_decay: float) -> tuple[float, float, float, float]:
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise TypeError(f"betas must be two numbers, got {betas!r}: pass (0.9, 0.999), for example")
    advice = "pass a decay rate such as 0.9"
    beta1, beta2 = (
        number_between(beta, f"betas[{i}]", 0, 1, advice, closed="left")
        for i, beta in enumerate(betas)
    )
    small = non_negative_number(eps, "eps")
    return beta1, beta2, small, non_negative_number(weight_decay, "weight_decay")

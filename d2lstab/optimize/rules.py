"""Update rules: how a gradient becomes a step.

Each rule is called with `lr`, a float or a schedule `step -> rate` counted from 0, and
with torch's names for the rest. All equal `torch.optim` to round-off where it has them.
In the equations g is the gradient with `weight_decay` * theta already added to it.
"""

from typing import Any

from d2lstab.arguments import non_negative_number, number_between
from d2lstab.optimize.adam_rules import adam, adamw, amsgrad, radam
from d2lstab.optimize.rule import Rate, Rule, elementwise_rule, root

__all__ = [
    "Rate",
    "Rule",
    "adagrad",
    "adam",
    "adamw",
    "amsgrad",
    "mean_rms",
    "momentum",
    "nesterov",
    "radam",
    "rmsprop",
    "sgd",
]


def sgd(lr: Rate, weight_decay: float = 0.0) -> Rule:
    """Gradient descent: theta <- theta - lr g.

    Equals `torch.optim.SGD(lr, weight_decay=...)`.

    Raises:
        ValueError, TypeError: a negative or non-numeric argument.

    >>> import torch
    >>> rule, start = sgd(0.1), torch.tensor([3.0])
    >>> rule.update(torch.tensor([2.0]), rule.init(start), start)[0]
    tensor([-0.2000])
    """
    decay = non_negative_number(weight_decay, "weight_decay")

    def step(g: Any, p: Any, slots: Any, rate: float, t: int) -> Any:
        return -rate * (g + decay * p if decay else g), ()

    return elementwise_rule(lr, (), step)


def momentum(
    lr: Rate,
    momentum: float = 0.9,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    *,
    rate_in_buffer: bool = False,
) -> Rule:
    """Heavy ball: the step is a decaying sum of all past gradients.

        b <- momentum b + (1 - dampening) g,    theta <- theta - lr b

    The first b is g. Equals `torch.optim.SGD(lr, momentum, dampening, weight_decay)`. With
    `rate_in_buffer` the rate is multiplied into the memory instead, as in Lee's lecture:

        m <- momentum m - lr (1 - dampening) g,    theta <- theta + m

    Both are the same while the rate is constant; after a change of the rate torch's
    applies the new one to all past gradients, the lecture's only to the coming ones.

    Raises:
        ValueError, TypeError: a negative or non-numeric argument.

    Source: Polyak (1964); Lee (2021).

    >>> import torch
    >>> rule, x = momentum(0.1, momentum=0.5), torch.tensor([0.0])
    >>> first, state = rule.update(torch.tensor([1.0]), rule.init(x), x)
    >>> first, rule.update(torch.tensor([1.0]), state, x)[0]
    (tensor([-0.1000]), tensor([-0.1500]))
    """
    keep = non_negative_number(momentum, "momentum")
    damp = number_between(dampening, "dampening", 0, 1)
    decay = non_negative_number(weight_decay, "weight_decay")

    def step(g: Any, p: Any, slots: Any, rate: float, t: int) -> Any:
        fresh = g + decay * p if decay else g
        if t > 1 and damp:
            fresh = (1 - damp) * fresh
        if rate_in_buffer:
            moved = keep * slots[0] - rate * fresh
            return moved, (moved,)
        buffer = keep * slots[0] + fresh
        return -rate * buffer, (buffer,)

    return elementwise_rule(lr, ("momentum",), step)


def nesterov(lr: Rate, momentum: float = 0.9, weight_decay: float = 0.0) -> Rule:
    """Nesterov's momentum: the step looks one momentum step ahead.

        b <- momentum b + g,    theta <- theta - lr (g + momentum b)

    Equals `torch.optim.SGD(lr, momentum, nesterov=True)`, whose theta is Nesterov's
    look-ahead point; momentum 0 is allowed here and is gradient descent.

    Raises:
        ValueError, TypeError: a negative or non-numeric argument.

    Source: Nesterov (1983); Sutskever et al. (2013).

    >>> import torch
    >>> rule, x = nesterov(0.1, momentum=0.5), torch.tensor([0.0])
    >>> rule.update(torch.tensor([1.0]), rule.init(x), x)[0]
    tensor([-0.1500])
    """
    keep = non_negative_number(momentum, "momentum")
    decay = non_negative_number(weight_decay, "weight_decay")

    def step(g: Any, p: Any, slots: Any, rate: float, t: int) -> Any:
        g = g + decay * p if decay else g
        buffer = keep * slots[0] + g
        return -rate * (g + keep * buffer), (buffer,)

    return elementwise_rule(lr, ("momentum",), step)


def adagrad(
    lr: Rate,
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    initial_accumulator_value: float = 0.0,
    eps: float = 1e-10,
) -> Rule:
    """Adagrad: divide by the root of the *sum* of all squared gradients.

        s <- s + g^2,    theta <- theta - lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)

    For a constant gradient the steps are lr, lr / sqrt(2), lr / sqrt(3), ...: a decay by
    1 / sqrt(t) is built in. Equals `torch.optim.Adagrad`.

    Raises:
        ValueError, TypeError: a negative or non-numeric argument.

    Source: Duchi, Hazan and Singer (2011).

    >>> import torch
    >>> rule, x = adagrad(0.1), torch.tensor([0.0])
    >>> rule.update(torch.tensor([-7.0]), rule.init(x), x)[0]
    tensor([0.1000])
    """
    slowing = non_negative_number(lr_decay, "lr_decay")
    decay = non_negative_number(weight_decay, "weight_decay")
    begin = non_negative_number(initial_accumulator_value, "initial_accumulator_value")
    small = non_negative_number(eps, "eps")

    def step(g: Any, p: Any, slots: Any, rate: float, t: int) -> Any:
        g = g + decay * p if decay else g
        total = slots[0] + g * g + (begin if t == 1 else 0.0)
        return -rate / (1 + (t - 1) * slowing) * g / (root(total) + small), (total,)

    return elementwise_rule(lr, ("sum",), step)


def mean_rms(lr: Rate, eps: float = 0.0, weight_decay: float = 0.0) -> Rule:
    """Divide by the root of the *mean* of all squared gradients so far.

        sigma_t = sqrt((g_1^2 + ... + g_t^2) / t),    theta <- theta - lr g / (sigma_t + eps)

    The lecture's root mean square. It is not Adagrad: with the rate lr / sqrt(t) it would
    be. Its first step is exactly lr in every direction, and without the 1 / sqrt(t) a
    direction that was quiet for long starts to oscillate in bursts. Where all gradients
    were 0 nothing moves. torch has no such rule.

    Raises:
        ValueError, TypeError: a negative or non-numeric argument.

    Source: Lee (2021), root mean square; compare `adagrad`.

    >>> import torch
    >>> rule, x = mean_rms(1.0), torch.tensor([0.0, 0.0])
    >>> rule.update(torch.tensor([-7.0, 1e-9]), rule.init(x), x)[0]
    tensor([ 1., -1.])
    """
    small = non_negative_number(eps, "eps")
    decay = non_negative_number(weight_decay, "weight_decay")

    def step(g: Any, p: Any, slots: Any, rate: float, t: int) -> Any:
        g = g + decay * p if decay else g
        total = slots[0] + g * g
        sigma = root(total / t)
        # Where sigma and eps are 0 so is g: dividing by 1 makes 0 of what would be 0 / 0.
        divisor = sigma + small if small else sigma + (sigma == 0)
        return -rate * g / divisor, (total,)

    return elementwise_rule(lr, ("sum",), step)


def rmsprop(
    lr: Rate,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
    *,
    full_first_square: bool = False,
) -> Rule:
    """RMSProp: divide by the root of a moving average of squared gradients.

        v <- alpha v + (1 - alpha) g^2,    theta <- theta - lr g / (sqrt(v) + eps)

    Equals `torch.optim.RMSprop`, where v starts at 0, so that the first step is
    lr / sqrt(1 - alpha), ten times lr at alpha = 0.99. With `full_first_square` the first v
    is g^2, as in Lee's lecture, and the first step is lr. `centered` subtracts the square
    of the moving average of g from v; `momentum` sums the steps up as heavy ball does.

    Raises:
        ValueError, TypeError: alpha outside [0, 1], a negative or non-numeric argument.

    Source: Tieleman and Hinton (2012); Graves (2013) for `centered`.

    >>> import torch
    >>> x, g = torch.tensor([0.0]), torch.tensor([-7.0])
    >>> torchs, lees = rmsprop(0.1), rmsprop(0.1, full_first_square=True)
    >>> [rule.update(g, rule.init(x), x)[0].item().__round__(4) for rule in (torchs, lees)]
    [1.0, 0.1]
    """
    keep = number_between(alpha, "alpha", 0, 1)
    small = non_negative_number(eps, "eps")
    decay = non_negative_number(weight_decay, "weight_decay")
    roll = non_negative_number(momentum, "momentum")

    def step(g: Any, p: Any, slots: Any, rate: float, t: int) -> Any:
        g = g + decay * p if decay else g
        new = 1.0 if full_first_square and t == 1 else 1 - keep
        square = keep * slots[0] + new * g * g
        memory: tuple[Any, ...] = (square,)
        spread = square
        if centered:
            mean = keep * slots[1] + (1 - keep) * g
            memory, spread = (square, mean), square - mean * mean
        change = g / (root(spread) + small)
        if roll:
            change = roll * slots[-1] + change
            memory = (*memory, change)
        return -rate * change, memory

    slots = ("square",) + ("mean",) * bool(centered) + ("momentum",) * bool(roll)
    return elementwise_rule(lr, slots, step)

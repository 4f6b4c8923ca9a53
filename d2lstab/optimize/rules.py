"""Update rules as pairs of pure functions."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import Tensor

__all__ = ["Rule"]

Params = Tensor | Mapping[str, Tensor]
State = Mapping[str, Any]


class Rule(NamedTuple):
    """How parameters move: two pure functions."""

    init: Callable[[Any], State]  # init(params) -> state
    update: Callable[[Any, State, Any], tuple[Any, State]]  # -> (updates to be added, state)

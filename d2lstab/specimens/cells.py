"""The memory path of a gated recurrent cell: its state after many steps as a function of the first.

Weights are drawn by `torch.nn.init` alone, so that a specimen shares no formula
with the theory that predicts it.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import init as torch_init

from d2lstab.arguments import (
    choice,
    finite_number,
    floating_tensor,
    positive_integer,
    random_generator,
)

__all__ = ["CellPath", "cell_path"]


class CellPath(nn.Module):
    """An unrolled LSTM or GRU cell: maps its first memory state to its last."""

    inputs: Tensor

    def __init__(self, cell: nn.LSTMCell | nn.GRUCell, inputs: Tensor) -> None:
        super().__init__()
        self.cell = cell
        self.register_buffer("inputs", inputs.detach().clone())

    def forward(self, state: Tensor) -> Tensor:
        """Return c_T for the LSTM's c_0 (with h_0 = 0), or h_T for the GRU's h_0."""
        rows = state if state.ndim == 2 else state.unsqueeze(0)
        hidden = torch.zeros_like(rows)
        for x in self.inputs:
            step = x.expand(len(rows), -1)
            if isinstance(self.cell, nn.LSTMCell):
                hidden, rows = self.cell(step, (hidden, rows))
            else:
                rows = self.cell(step, rows)
        return rows if state.ndim == 2 else rows.squeeze(0)


def cell_path(
    kind: str,
    hidden_size: int,
    inputs: Tensor,
    *,
    generator: torch.Generator,
    gate_bias: float = 0.0,
    recurrent: bool = True,
) -> CellPath:
    """A recurrent cell with fixed inputs whose memory path is the object of study.

    LSTM: c_t = f_t c_{t-1} + i_t g_t,  f_t = sigmoid(W x_t + U h_{t-1} + b_f);
    GRU:  h_t = z_t h_{t-1} + (1 - z_t) n_t,  z_t = sigmoid(W x_t + U h_{t-1} + b_z).

    Args:
        kind: "lstm" or "gru".
        hidden_size: number of memory units.
        inputs: tensor of shape (steps, input size), the same for every sample; its length
            is the number of steps, its dtype and device those of the cell.
        generator: draws the weights from U(-k, k) with k = 1/sqrt(hidden_size), as torch does.
        gate_bias: b_f of the LSTM or b_z of the GRU; all other biases are 0.
        recurrent: False sets U to 0. Then the path is exactly diagonal: the derivative of
            the last state by the first is the product of the gates, sigmoid(gate_bias)**steps
            where the inputs are 0.

    Returns:
        A `CellPath`: called with one state of shape (hidden,) or a batch of them, it
        returns the state after all steps, so that a Jacobian can be taken.

    Raises:
        ValueError: an unknown kind, a size below 1, inputs that are empty, not finite or not
            two-dimensional, a bias that is not finite.
        TypeError: an argument of the wrong type.

    Source: Hochreiter and Schmidhuber (1997); Gers et al. (2000) for the forget gate;
        Cho et al. (2014) for the GRU, whose z torch writes as here.

    >>> g = torch.Generator().manual_seed(0)
    >>> path = cell_path("lstm", 2, torch.zeros(3, 1), generator=g, recurrent=False)
    >>> path(torch.tensor([8.0, 0.0]))  # halved three times: sigmoid(0) = 1/2
    tensor([1., 0.], grad_fn=<SqueezeBackward1>)
    """
    choice(kind, "kind", ("lstm", "gru"), "these are the cells with a gated memory")
    size = positive_integer(hidden_size, "hidden_size", "pass the number of memory units")
    _check_inputs(inputs)
    random_generator(generator)
    finite_number(gate_bias, "gate_bias", "pass 1.0 for a gate that is rather open")
    if not isinstance(recurrent, bool):
        raise TypeError(f"recurrent must be True or False, got {recurrent!r}: pass a bool")
    made = nn.LSTMCell if kind == "lstm" else nn.GRUCell
    # skip_init: the constructor would draw from torch's global generator
    cell: nn.LSTMCell | nn.GRUCell = nn.utils.skip_init(
        made, inputs.shape[1], size, dtype=inputs.dtype, device=inputs.device
    )
    bound = 1 / math.sqrt(size)
    torch_init.uniform_(cell.weight_ih, -bound, bound, generator=generator)
    if recurrent:
        torch_init.uniform_(cell.weight_hh, -bound, bound, generator=generator)
    else:
        torch_init.zeros_(cell.weight_hh)
    torch_init.zeros_(cell.bias_hh)
    torch_init.zeros_(cell.bias_ih)
    with torch.no_grad():
        # torch stacks the gates as (i, f, g, o) and as (r, z, n): the second is ours in both
        cell.bias_ih[size : 2 * size].fill_(gate_bias)
    return CellPath(cell, inputs)


def _check_inputs(inputs: Tensor) -> None:
    advice = "pass torch.zeros(steps, input_size), for example"
    floating_tensor(inputs, "inputs", advice)
    if inputs.ndim != 2:
        raise ValueError(
            f"inputs must have shape (steps, input size), got {tuple(inputs.shape)}: {advice}"
        )
    if not inputs.isfinite().all():
        raise ValueError(f"inputs must be finite, got NaN or infinity: {advice}")

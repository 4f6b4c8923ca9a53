"""The Hessian of a plain chain of linear layers, from one matrix product per unit.

The generic way differentiates the gradient once for each row. A chain has more structure: a
weight acts through the pre-activation of its unit, sample by sample, so that all rows of a
unit share one derivative of the per-sample gradient and differ by the unit's inputs alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ["Chain", "add_structured_hessian", "chain_of"]

_ENTRIES = 2**20  # of a temporary, so that it stays in the cache

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """a_0 = head(inputs), z_l = W_l a_{l-1} + b_l, a_l = phi_l(z_l), outputs = tail(z_L)."""

    head: Function  # without parameters, such as Flatten
    layers: list[nn.Linear]  # L of them
    activations: list[Function]  # phi_1 .. phi_{L-1}
    tail: Function  # without parameters; it becomes part of the loss


def chain_of(model: nn.Module) -> Chain | None:
    """The model as a chain, or None where it does not look like one.

    What looks like one need not be one (a hook, an activation that mixes units): compare a
    product before the result is believed.
    """
    modules = _in_order(model)
    at = [i for i, module in enumerate(modules) if type(module) is nn.Linear]
    layers = [module for module in modules if type(module) is nn.Linear]
    inside = [p for layer in layers for p in layer.parameters()]
    everything = list(model.parameters())
    if not at or len(inside) != len(everything) or not all(p.requires_grad for p in inside):
        return None
    if any(p is not q for p, q in zip(inside, everything, strict=True)):
        return None
    between = [_composed(modules[i + 1 : j]) for i, j in pairwise(at)]
    return Chain(_composed(modules[: at[0]]), layers, between, _composed(modules[at[-1] + 1 :]))


def _in_order(module: nn.Module) -> list[nn.Module]:
    if type(module) is nn.Sequential:
        return [leaf for child in module for leaf in _in_order(child)]
    return [module]


def _composed(modules: list[nn.Module]) -> Function:
    return lambda x: reduce(lambda value, module: module(value), modules, x)


@dataclass(frozen=True, slots=True, eq=False)
class _Samples:
    """What the backward pass of some samples leaves behind; lists are indexed by layer."""

    inputs: list[Tensor]  # a_{l-1} and a 1 where there is a bias, (N, d_{l-1} (+ 1))
    slopes: list[Tensor]  # phi_l', (N, d_l)
    bends: list[Tensor]  # phi_l'', (N, d_l)
    gradients: list[Tensor]  # d loss / d z_l, (N, d_l)
    backs: list[Tensor]  # d loss / d a_l, (N, d_l)
    curvature: Tensor  # d2 loss / d z_L^2 of each sample, (N, C, C)

    def cut(self, rows: slice) -> "_Samples":
        return _Samples(
            inputs=[t[rows] for t in self.inputs],
            slopes=[t[rows] for t in self.slopes],
            bends=[t[rows] for t in self.bends],
            gradients=[t[rows] for t in self.gradients],
            backs=[t[rows] for t in self.backs],
            curvature=self.curvature[rows],
        )


def add_structured_hessian(chain: Chain, loss: Function, inputs: Tensor, out: Tensor) -> bool:
    """Add to the upper blocks of `out` the Hessian of loss(outputs) on one batch.

    With e_m[j] added to unit j's pre-activation in layer m, and D = d / d e_m[j] per sample:

        H[(m, j, k), (l, i, c)] = sum_n a_{m-1}[k] D( dL/dz_l[i] a_{l-1}[c] ),  l >= m

    Args:
        loss: a function of the outputs that is a sum over samples.
        out: (n, n), in the order of `model.parameters()`; blocks below the diagonal of
            layers are left as they are.

    Returns:
        False, with `out` untouched, where an activation is not element-wise or the shapes are
        not (samples, units).
    """
    samples = _samples(chain, loss, inputs)
    if samples is None:
        return False
    starts = [0]
    for layer in chain.layers:
        starts.append(starts[-1] + sum(p.numel() for p in layer.parameters()))
    for m, layer in enumerate(chain.layers):
        width = starts[-1] - starts[m]
        step = max(32, _ENTRIES // width)
        parts = [samples.cut(slice(i, i + step)) for i in range(0, len(samples.curvature), step)]
        for j in range(layer.out_features):
            rows = out.new_zeros(samples.inputs[m].shape[1], width)
            for part in parts:
                rows.addmm_(part.inputs[m].T, _derivative(chain, part, m, j, width))
            at = starts[m] + j * layer.in_features
            out[at : at + layer.in_features, starts[m] :] += rows[: layer.in_features]
            if layer.bias is not None:
                out[starts[m] + layer.weight.numel() + j, starts[m] :] += rows[-1]
    return True


def _samples(chain: Chain, loss: Function, inputs: Tensor) -> _Samples | None:
    """One forward and one backward pass by hand."""
    a, kept = chain.head(inputs).detach(), _Samples([], [], [], [], [], inputs)
    last = len(chain.layers) - 1
    for i, layer in enumerate(chain.layers):
        if a.ndim != 2 or a.shape[1] != layer.in_features:
            return None
        kept.inputs.append(a if layer.bias is None else torch.cat([a, a.new_ones(len(a), 1)], 1))
        z = layer(a).detach()
        if i < last:
            jet = _jet(chain.activations[i], z)
            if jet is None:
                return None
            a = jet[0]
            kept.slopes.append(jet[1])
            kept.bends.append(jet[2])
    z.requires_grad_(True)
    # a copy, here and in `_jet`: an in-place activation may not write into a leaf
    (g,) = torch.autograd.grad(loss(chain.tail(z.clone())), z, create_graph=True)
    curvature = _derivatives(g, z)
    backs: list[Tensor] = []
    gradients = [g.detach()]
    for i in reversed(range(last)):
        backs.insert(0, gradients[0] @ chain.layers[i + 1].weight.detach())
        gradients.insert(0, backs[0] * kept.slopes[i])
    return _Samples(kept.inputs, kept.slopes, kept.bends, gradients, backs, curvature)


def _derivatives(g: Tensor, z: Tensor) -> Tensor:
    """d g[n, c] / d z[n, :] for every c."""
    if not g.requires_grad:
        return z.new_zeros(*z.shape, z.shape[1])
    rows = [torch.autograd.grad(column.sum(), z, retain_graph=True)[0] for column in g.T]
    return torch.stack(rows, 1)


def _jet(phi: Function, z: Tensor) -> tuple[Tensor, Tensor, Tensor] | None:
    """phi, phi' and phi'' at z, or None where phi is not element-wise."""
    z = z.clone().requires_grad_(True)
    a = phi(z.clone())
    kept = (torch.arange(z.numel(), device=z.device) % 3 == 0).view(z.shape)
    others_moved = phi(torch.where(kept, z.detach(), z.detach() + 1))
    if a.shape != z.shape or not torch.allclose(a.detach()[kept], others_moved[kept]):
        return None
    (slope,) = torch.autograd.grad(a.sum(), z, create_graph=True)
    bend = torch.zeros_like(slope)
    if slope.requires_grad:
        (found,) = torch.autograd.grad(slope.sum(), z, allow_unused=True)
        bend = bend if found is None else found
    return a.detach(), slope.detach(), bend


def _derivative(chain: Chain, s: _Samples, m: int, j: int, width: int) -> Tensor:
    """D of the per-sample gradient by the parameters of layers m, m+1, ...; (N, width)."""
    layers, last = chain.layers, len(chain.layers) - 1
    moved = [torch.zeros(0)] * (last + 1)  # D z_l
    carried = [torch.zeros(0)] * (last + 1)  # D a_l
    moved[m] = torch.zeros_like(s.gradients[m])
    moved[m][:, j] = 1
    for i in range(m, last):
        carried[i] = s.slopes[i] * moved[i]
        moved[i + 1] = carried[i] @ layers[i + 1].weight.detach().T
    turned = torch.einsum("ncd,nd->nc", s.curvature, moved[last])  # D dL/dz_l, from the last
    result = turned.new_empty(len(turned), width)
    end = width
    for i in reversed(range(m, last + 1)):
        if i < last:
            turned = s.slopes[i] * (turned @ layers[i + 1].weight.detach())
            turned += s.bends[i] * moved[i] * s.backs[i]
        end = _fill(result, end, layers[i], turned, s, i, carried[i - 1] if i > m else None)
    return result


def _fill(
    result: Tensor,
    end: int,
    layer: nn.Linear,
    turned: Tensor,
    s: _Samples,
    i: int,
    carried: Tensor | None,
) -> int:
    """Write D(dL/dz a) of one layer before column `end`; return where it starts."""
    if layer.bias is not None:
        result[:, end - layer.out_features : end] = turned
        end -= layer.out_features
    start = end - layer.weight.numel()
    block = result[:, start:end].view(len(result), layer.out_features, layer.in_features)
    torch.mul(turned[:, :, None], s.inputs[i][:, None, : layer.in_features], out=block)
    if carried is not None:
        block.addcmul_(s.gradients[i][:, :, None], carried[:, None, :])
    return start

"""Every call of a leaf module in a forward pass, in order, with a handle on its gradient."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

__all__ = ["LeafCall", "leaf_calls"]

_COUPLED = (
    nn.MultiheadAttention,
    nn.GLU,
    nn.Softmax,
    nn.Softmin,
    nn.LogSoftmax,
    nn.Softmax2d,
)


@dataclass
class LeafCall:
    """One call of a module during which no other module of the model was called."""

    name: str  # the module's name in the model; later calls are name#2, name#3, ...
    module: nn.Module
    groups: list[list[Tensor]]  # the floating tensors of each part of the output, detached
    edges: list[list[GradientEdge | None]]  # where their gradients pass in the graph
    slope: Tensor | None  # derivative of an element-wise activation at each entry


@dataclass
class _Frame:
    module: nn.Module
    leaf: bool = True  # until another module is called inside it
    edge: GradientEdge | None = None  # of the input, for an element-wise activation


@dataclass
class _Recorder:
    names: dict[nn.Module, str]
    seen: Callable[[LeafCall], None]
    stack: list[_Frame] = field(default_factory=list)
    calls: dict[nn.Module, int] = field(default_factory=dict)

    def before(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if self.stack:
            self.stack[-1].leaf = False
        frame = _Frame(module)
        x = args[0] if args else None
        if _elementwise(module) and isinstance(x, Tensor) and x.requires_grad:
            frame.edge = get_gradient_edge(x)
        self.stack.append(frame)

    def after(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        # a model that catches its own exceptions leaves frames without an end behind
        while (frame := self.stack.pop()).module is not module:
            pass
        if not frame.leaf:
            return None
        count = self.calls[module] = self.calls.get(module, 0) + 1
        name = self.names[module] + (f"#{count}" if count > 1 else "")
        call = LeafCall(name, module, [], [], _slope(frame.edge, output))
        parts = output if isinstance(output, tuple) else (output,)
        tracked = [_track(part, call, args) for part in parts]
        self.seen(call)
        if all(new is old for new, old in zip(tracked, parts, strict=True)):
            return None
        return _like(output, tracked) if isinstance(output, tuple) else tracked[0]


def _elementwise(module: nn.Module) -> bool:
    if type(module).__module__ == "torch.nn.modules.activation":
        return not isinstance(module, _COUPLED)
    return getattr(module, "elementwise", False) is True


def _slope(edge: GradientEdge | None, output: Any) -> Tensor | None:
    if edge is None or not isinstance(output, Tensor) or not output.requires_grad:
        return None
    ones = torch.ones_like(output)
    node: Any = output.grad_fn
    if callable(node) and node.next_functions == ((edge.node, edge.output_nr),):
        # one operation, as in most activations: its derivative without the engine's overhead
        slope = node(ones)
        return slope if isinstance(slope, Tensor) else None
    (slope,) = torch.autograd.grad(output, [edge], ones, retain_graph=True, allow_unused=True)
    return slope


def _track(part: Any, call: LeafCall, args: tuple[Any, ...]) -> Any:
    call.groups.append([])
    call.edges.append([])

    def visit(value: Any) -> Any:
        if isinstance(value, Tensor):
            if not (value.is_floating_point() or value.is_complex()):
                return value
            passed, edge = _edge(value, args)
            call.groups[-1].append(value.detach())
            call.edges[-1].append(edge)
            return passed
        if isinstance(value, dict):
            items = {key: visit(item) for key, item in value.items()}
            if any(items[key] is not value[key] for key in items):
                value = type(value)(items)
        elif isinstance(value, list | tuple):
            new = [visit(item) for item in value]
            if any(n is not o for n, o in zip(new, value, strict=True)):
                value = _like(value, new)
        return value

    return visit(part)


def _like(old: Any, items: list[Any]) -> Any:
    return type(old)(*items) if hasattr(old, "_fields") else type(old)(items)


def _edge(value: Tensor, args: tuple[Any, ...]) -> tuple[Tensor, GradientEdge | None]:
    if not torch.is_grad_enabled():
        return value, None
    if not value.requires_grad:
        # frozen layers and raw inputs: start a graph here; the clone lets a following
        # in-place activation write without touching the leaf
        leaf = value.detach().requires_grad_()
        return leaf.clone(), get_gradient_edge(leaf)
    # writing into a view in place would replace its edge in the graph, and a module that
    # returns its input has no edge of its own
    passed = value.clone() if value._is_view() or any(value is x for x in args) else value
    return passed, get_gradient_edge(passed)


@contextmanager
def leaf_calls(model: nn.Module, seen: Callable[[LeafCall], None]) -> Iterator[None]:
    """Report each call of a leaf module inside the block; the hooks go when it ends.

    A call is a leaf's when no other module of the model is called during it, so that a
    module that uses its children's weights directly counts as one. Parametrizations are
    not modules of the model here. The gradient edges are taken before any later in-place
    operation can overwrite the output.

    >>> seen = []
    >>> model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    >>> with leaf_calls(model, lambda call: seen.append(call.name)):
    ...     out = model(torch.ones(1, 2))
    >>> seen
    ['0', '1']
    """
    names = {
        module: name or type(model).__name__
        for name, module in model.named_modules()
        if "parametrizations" not in name.split(".")
    }
    recorder = _Recorder(names, seen)
    handles: list[Any] = []
    try:
        for module in names:
            handles.append(module.register_forward_pre_hook(recorder.before))
            handles.append(module.register_forward_hook(recorder.after))
        yield
    finally:
        for handle in handles:
            handle.remove()

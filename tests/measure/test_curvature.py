"""The whole Hessian, by both ways, against torch's own."""

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.functional import hessian
from torch.func import functional_call

from d2lstab.measure import curvature
from d2lstab.measure.curvature import hessian_matrix


def normal(*shape, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def filled(*layers):
    model = nn.Sequential(*deepcopy(layers)).double()
    with torch.no_grad():
        for i, p in enumerate(model.parameters()):
            p.copy_(normal(*p.shape, seed=i) / 2)
    return model


def dense(model, loss_fn, x, y):
    names = [name for name, _ in model.named_parameters()]
    shapes = [p.shape for p in model.parameters()]
    flat = torch.cat([p.detach().flatten() for p in model.parameters()])

    def loss(theta):
        parts = theta.split([shape.numel() for shape in shapes])
        values = {n: v.view(s) for n, v, s in zip(names, parts, shapes, strict=True)}
        return loss_fn(functional_call(model, values, (x,)), y)

    return hessian(loss, flat)


X, CLASSES, NUMBERS = normal(40, 2, 3), torch.arange(40) % 3, normal(40, 3, seed=7)


class Power(nn.Module):
    def forward(self, x):
        return x**3


CHAINS = {
    "two layers": (nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)),
    "one layer": (nn.Linear(6, 3),),
    "linear between": (nn.Linear(6, 4), nn.Linear(4, 3)),
    "three, no bias": (nn.Linear(6, 4, bias=False), nn.GELU(), nn.Linear(4, 4, bias=False),
                       nn.Softplus(), nn.Linear(4, 3, bias=False)),
    "some bias": (nn.Linear(6, 4), nn.SiLU(), nn.Linear(4, 5, bias=False), Power(),
                  nn.Linear(5, 3)),
    "nested, kinks, tail": (nn.Sequential(nn.Linear(6, 4), nn.ReLU()), nn.Dropout(0.0),
                            nn.Sequential(nn.Linear(4, 3), nn.Sigmoid())),
    "in place": (nn.Linear(6, 4), nn.SiLU(inplace=True), nn.Linear(4, 4), nn.ReLU(inplace=True),
                 nn.Linear(4, 3), nn.ELU(inplace=True)),
}  # fmt: skip

OTHERS = {
    "layer norm": (nn.Linear(6, 4), nn.LayerNorm(4), nn.Linear(4, 3)),
    "bare layer norm": (nn.Linear(6, 4), nn.LayerNorm(4, elementwise_affine=False),
                        nn.Linear(4, 3)),
    "batch norm": (nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 3)),
    "softmax inside": (nn.Linear(6, 4), nn.Softmax(1), nn.Linear(4, 3)),
    "dropout": (nn.Linear(6, 4), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, 3)),
}  # fmt: skip


@pytest.mark.parametrize(("loss_fn", "y"), [(F.mse_loss, NUMBERS), (F.cross_entropy, CLASSES)])
@pytest.mark.parametrize("name", CHAINS)
def test_chains(name, loss_fn, y, monkeypatch):
    model = filled(nn.Flatten(), *CHAINS[name])
    generic = hessian_matrix(model, loss_fn, X, y, structured=False)
    monkeypatch.setattr(curvature.HessianOperator, "__matmul__", None)  # the structure alone
    structured = hessian_matrix(model, loss_fn, X, y)
    reference = dense(model, loss_fn, X, y)
    for matrix in (generic, structured):
        assert torch.equal(matrix, matrix.T)
        torch.testing.assert_close(matrix, reference, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("size", [2**6, 2**20])
def test_chains_in_pieces(size, monkeypatch):
    """Samples are taken 32 or more at a time: 40 in two pieces make the same sum."""
    monkeypatch.setattr("d2lstab.measure.structured_hessian._ENTRIES", size)
    model = filled(nn.Flatten(), *CHAINS["some bias"])
    reference = dense(model, F.mse_loss, X, NUMBERS)
    torch.testing.assert_close(hessian_matrix(model, F.mse_loss, X, NUMBERS), reference)


@pytest.mark.parametrize("name", [name for name in OTHERS if name != "dropout"])
def test_what_is_no_chain_is_right_too(name):
    model = filled(nn.Flatten(), *OTHERS[name])
    matrix = hessian_matrix(model, F.cross_entropy, X, CLASSES)
    torch.testing.assert_close(matrix, dense(model, F.cross_entropy, X, CLASSES))


def test_a_chain_that_only_looks_like_one():
    """Hooks, mixing losses, tied, frozen and repeated layers: the generic way answers."""
    hooked = filled(nn.Flatten(), *CHAINS["two layers"])
    handle = hooked[1].register_forward_hook(lambda module, args, out: 2 * out)
    tied = filled(nn.Flatten(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6))
    tied[3].weight = tied[1].weight

    def mixing(out, _):
        return out.mean(0).pow(4).sum()

    plain = filled(nn.Flatten(), *CHAINS["two layers"])
    for model, loss_fn in ((hooked, mixing), (hooked, lambda out, _: out.cos().mean()),
                           (plain, mixing), (tied, mixing)):  # fmt: skip
        one = hessian_matrix(model, loss_fn, X, CLASSES)
        other = hessian_matrix(model, loss_fn, X, CLASSES, structured=False)
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-13)
    handle.remove()
    plain[1].requires_grad_(False)
    assert hessian_matrix(plain, mixing, X, CLASSES).shape == (18, 18)


def test_dropout_draws_the_masks_once_and_leaves_no_trace():
    model = filled(nn.Flatten(), *OTHERS["dropout"])
    before = torch.random.get_rng_state()
    one = hessian_matrix(model, F.mse_loss, X, NUMBERS)
    other = hessian_matrix(model, F.mse_loss, X, NUMBERS, structured=False)
    assert torch.equal(one, other)
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(p.grad is None for p in model.parameters())


def test_batches():
    model = filled(nn.Flatten(), *CHAINS["two layers"])
    reference = dense(model, F.cross_entropy, X, CLASSES)
    pairs = [(X[:7], CLASSES[:7]), (X[7:], CLASSES[7:])]
    for structured in (True, False):
        matrix = hessian_matrix(model, F.cross_entropy, iter(pairs), structured=structured)
        torch.testing.assert_close(matrix, reference, rtol=1e-10, atol=1e-13)


def test_single_precision_follows():
    model = filled(nn.Flatten(), *CHAINS["two layers"]).float()
    matrix = hessian_matrix(model, F.mse_loss, X.float(), NUMBERS.float())
    assert matrix.dtype == torch.float32
    reference = dense(model.double(), F.mse_loss, X.float().double(), NUMBERS.float().double())
    torch.testing.assert_close(matrix.double(), reference, rtol=1e-4, atol=1e-6)


def test_mirroring_in_blocks(monkeypatch):
    monkeypatch.setattr(curvature, "_BLOCK", 7)
    model = filled(nn.Flatten(), *CHAINS["two layers"])
    reference = dense(model, F.mse_loss, X, NUMBERS)
    for structured in (True, False):
        matrix = hessian_matrix(model, F.mse_loss, X, NUMBERS, structured=structured)
        torch.testing.assert_close(matrix, reference, rtol=1e-10, atol=1e-13)
        assert torch.equal(matrix, matrix.T)


@pytest.mark.parametrize(
    "layer",
    [nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.CELU, nn.SELU, nn.SiLU, nn.Mish, nn.Hardtanh,
     nn.Hardswish, nn.Threshold],
)  # fmt: skip
def test_activations_in_place_give_what_they_give_out_of_place(layer):
    options = (0.1, 0.0) if layer is nn.Threshold else ()

    def model(inplace):
        phi = [layer(*options, inplace=inplace) for _ in range(2)]
        return filled(nn.Flatten(), nn.Linear(6, 5), phi[0], nn.Linear(5, 3), phi[1])

    found = hessian_matrix(model(True), F.mse_loss, X, NUMBERS)
    expected = hessian_matrix(model(False), F.mse_loss, X, NUMBERS)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("structured", [True, False])
@pytest.mark.parametrize("several", [True, False])
def test_a_model_that_begins_in_place_leaves_the_batch_alone(structured, several):
    """Read three times, the inputs must be the same each time: SiLU is not idempotent."""
    model = filled(nn.SiLU(inplace=True), nn.Linear(6, 3))
    x = X.flatten(1).clone()
    batches = ([x[:8], x[8:]], [NUMBERS[:8], NUMBERS[8:]]) if several else (x, NUMBERS)
    matrix = hessian_matrix(model, F.mse_loss, *batches, structured=structured)
    assert torch.equal(x, X.flatten(1))
    reference = dense(model[1:], F.mse_loss, F.silu(x), NUMBERS)
    torch.testing.assert_close(matrix, reference, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("structured", [True, False])
def test_inference_mode_changes_nothing(structured):
    model = filled(nn.Flatten(), *CHAINS["two layers"])
    expected = hessian_matrix(model, F.cross_entropy, X, CLASSES, structured=structured)
    with torch.inference_mode():
        for x, y in ((X, CLASSES), (X.clone(), CLASSES.clone()), ([X], [CLASSES])):
            found = hessian_matrix(model, F.cross_entropy, x, y, structured=structured)
            assert torch.equal(found, expected)


def test_memory_is_refused_before_it_is_taken():
    model = nn.Sequential(nn.Linear(1000, 1000), nn.Linear(1000, 10))
    needed = 4 * (1000 * 1000 + 1000 + 10_010) ** 2
    with pytest.raises(ValueError, match=f"at least {needed} bytes"):
        hessian_matrix(model, F.cross_entropy, torch.ones(2, 1000), torch.tensor([0, 1]))
    small = nn.Linear(2, 1)
    x, y = torch.ones(2, 2), torch.ones(2, 1)
    assert hessian_matrix(small, F.mse_loss, x, y, memory_limit=36).shape == (3, 3)
    with pytest.raises(ValueError, match="at least 36 bytes"):
        hessian_matrix(small, F.mse_loss, x, y, memory_limit=35)
    with pytest.raises(TypeError, match="memory_limit"):
        hessian_matrix(small, F.mse_loss, x, y, memory_limit=1e9)


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        (nn.Tanh(), ValueError, "parameter that requires"),
        (lambda x: x, TypeError, "torch.nn.Module"),
        (nn.Linear(3, 3).half(), TypeError, "float16"),
    ],
)
def test_bad_models(model, error, words):
    with pytest.raises(error, match=words):
        hessian_matrix(model, F.mse_loss, torch.ones(2, 3), torch.ones(2, 3))

"""Products against torch's own dense Hessian, and what is left behind: nothing."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.functional import hessian
from torch.func import functional_call

from d2lstab.measure.curvature import HessianOperator


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def filled(model, seed=1):
    g = seeded(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=g) / 2)
    return model.double()


def small(seed=1):
    return filled(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), seed)


def dense(model, loss_fn, x, y):
    """torch's own Hessian, on a flat vector of the parameters."""
    named = {k: p.detach() for k, p in model.named_parameters() if p.requires_grad}
    sizes = [p.numel() for p in named.values()]
    flat = torch.cat([p.flatten() for p in named.values()])

    def loss(theta):
        parts = theta.split(sizes)
        values = {k: v.view(p.shape) for (k, p), v in zip(named.items(), parts, strict=True)}
        return loss_fn(functional_call(model, values, (x,)), y)

    return hessian(loss, flat)


X, Y, CLASSES = normal(7, 3), normal(7, 2, seed=5), torch.tensor([0, 1, 1, 0, 1, 0, 1])


@pytest.mark.parametrize(("loss_fn", "y"), [(F.mse_loss, Y), (F.cross_entropy, CLASSES)])
def test_products_equal_the_dense_hessian(loss_fn, y):
    model = small()
    reference, operator = dense(model, loss_fn, X, y), HessianOperator(model, loss_fn, X, y)
    n = len(reference)
    assert operator.shape == (n, n)
    v, several = normal(n, seed=2), normal(n, 11, seed=3)
    torch.testing.assert_close(operator.matvec(v), reference @ v, rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(operator @ v, reference @ v, rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(operator @ several, reference @ several, rtol=1e-10, atol=1e-13)
    assert (operator @ several[:, :0]).shape == (n, 0)


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Conv1d(1, 2, 2), nn.Softplus(), nn.Flatten(), nn.Linear(4, 2)),
        nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.GELU(), nn.Linear(4, 2)),
        nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)),
        nn.TransformerEncoderLayer(4, 2, 4, dropout=0.0, batch_first=True),
        nn.LSTM(3, 2, batch_first=True),
    ],
    ids=["convolution", "layer norm", "batch norm", "attention", "recurrent"],
)
def test_other_architectures(model):
    """A central difference of the gradient: error of order step^2 and round-off / step."""
    model = filled(model)
    width = 4 if isinstance(model, nn.TransformerEncoderLayer) else 3
    x = normal(5, 1, 3) if isinstance(model[0] if hasattr(model, "__getitem__") else None,
                                      nn.Conv1d) else normal(5, width)  # fmt: skip
    if width == 4 or isinstance(model, nn.LSTM):
        x = normal(2, 3, width)

    def loss_fn(out, _):
        out = out[0] if isinstance(out, tuple) else out
        return (torch.sin(out) ** 2).mean()

    operator = HessianOperator(model, loss_fn, x, None)
    n, step = operator.shape[0], 1e-5
    v = normal(n, seed=4)
    product = operator.matvec(v)
    sizes = [p.numel() for p in model.parameters()]

    def gradient(shift):
        with torch.no_grad():
            for p, d in zip(model.parameters(), (shift * v).split(sizes), strict=True):
                p.add_(d.view(p.shape))
        found = HessianOperator(model, loss_fn, x, None).gradient
        with torch.no_grad():
            for p, d in zip(model.parameters(), (shift * v).split(sizes), strict=True):
                p.sub_(d.view(p.shape))
        return found

    difference = (gradient(step) - gradient(-step)) / (2 * step)
    assert float((product - difference).norm()) < 1e-6 * (1 + float(product.norm()))


def test_batches_of_unequal_size_make_the_mean_over_all_data():
    model = small()
    reference = dense(model, F.mse_loss, X, Y)
    v = normal(len(reference), seed=2)
    pairs = [(X[:3], Y[:3]), (X[3:4], Y[3:4]), (X[4:], Y[4:])]
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, Y), batch_size=3)
    for given in (pairs, iter(pairs), loader, (pair for pair in pairs)):
        operator = HessianOperator(model, F.mse_loss, given)
        for _ in range(2):
            torch.testing.assert_close(operator @ v, reference @ v, rtol=1e-10, atol=1e-13)
    operator = HessianOperator(model, F.mse_loss, [X[:3], X[3:]], [Y[:3], Y[3:]])
    torch.testing.assert_close(operator @ v, reference @ v, rtol=1e-10, atol=1e-13)
    assert operator.loss == pytest.approx(F.mse_loss(model(X), Y).item(), rel=1e-12)


def test_sums_are_added():
    model, total = small(), nn.MSELoss(reduction="sum")
    reference = dense(model, total, X, Y)
    v = normal(len(reference), seed=2)
    pairs = [(X[:3], Y[:3]), (X[3:], Y[3:])]
    torch.testing.assert_close(HessianOperator(model, total, pairs) @ v, reference @ v)

    def added(out, y):
        return total(out, y)

    operator = HessianOperator(model, added, pairs, reduction="sum")
    torch.testing.assert_close(operator @ v, reference @ v)


def change_in_place(model):
    with torch.no_grad():
        model[0].weight.mul_(1.5)


def change_the_data(model):
    model[0].weight.data.mul_(1.5)


def change_the_storage(model):
    model[0].weight.data = model[0].weight.data * 1.5


def change_a_bias_and_back(model):
    with torch.no_grad():
        model[2].weight.add_(1.0)
        model[2].weight.sub_(1.0)


@pytest.mark.parametrize(
    "change", [change_in_place, change_the_data, change_the_storage, change_a_bias_and_back]
)
def test_a_changed_parameter_is_noticed(change):
    model = small()
    operator = HessianOperator(model, F.mse_loss, X, Y)
    v = normal(operator.shape[0], seed=2)
    operator.matvec(v)
    change(model)
    reference = dense(model, F.mse_loss, X, Y)
    torch.testing.assert_close(operator.matvec(v), reference @ v, rtol=1e-9, atol=1e-12)


def test_changed_inputs_targets_modes_and_buffers_are_noticed():
    model = filled(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)))
    x, y = X.clone(), Y.clone()
    operator = HessianOperator(model, F.mse_loss, x, y)
    v = normal(operator.shape[0], seed=2)

    def same():
        fresh = HessianOperator(model, F.mse_loss, x.clone(), y.clone()) @ v
        torch.testing.assert_close(operator @ v, fresh, rtol=1e-9, atol=1e-12)
        return fresh

    seen = [same()]
    x.data[0] += 1
    seen.append(same())
    y.mul_(2)
    seen.append(same())
    model.eval()
    seen.append(same())
    model[1].running_var.fill_(9)
    seen.append(same())
    assert all(float((a - b).norm()) > 1e-3 for a, b in pairwise(seen))


def test_other_parameters_are_an_error():
    model = small()
    operator = HessianOperator(model, F.mse_loss, X, Y)
    model[0].weight = nn.Parameter(torch.ones(4, 3, dtype=torch.float64))
    with pytest.raises(ValueError, match="new HessianOperator"):
        operator.matvec(torch.ones(operator.shape[0]))


def state(model):
    return (
        [m.training for m in model.modules()],
        {k: (v.clone(), v._version) for k, v in model.state_dict(keep_vars=True).items()},
        [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        torch.random.get_rng_state(),
        [len(m._forward_hooks) + len(m._backward_hooks) for m in model.modules()],
    )


def assert_same_state(before, after):
    assert before[0] == after[0]
    for name, (value, version) in before[1].items():
        assert torch.equal(value, after[1][name][0])
        assert version == after[1][name][1]
    for old, new in zip(before[2], after[2], strict=True):
        assert (old is None) == (new is None)
        assert old is None or torch.equal(old, new)
    assert torch.equal(before[3], after[3])
    assert before[4] == after[4]


class Sulky(nn.Module):
    def forward(self, x):
        torch.rand(3)
        raise RuntimeError("no")


def test_nothing_is_left_behind():
    model = filled(
        nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
    )
    F.mse_loss(model(X), Y).backward()
    model[1].eval()
    model[1].train()
    before = state(model)
    with torch.no_grad():
        operator = HessianOperator(model, F.mse_loss, X, Y)
        product = operator @ torch.ones(operator.shape[0])
    assert_same_state(before, state(model))
    assert not product.requires_grad
    broken = nn.Sequential(*model, Sulky())
    before = state(broken)
    with pytest.raises(RuntimeError, match="no"):
        HessianOperator(broken, F.mse_loss, X, Y)
    assert_same_state(before, state(broken))


@pytest.mark.parametrize("several", [False, True])
def test_dropout_uses_the_same_mask_in_every_product(several):
    model = filled(nn.Sequential(nn.Linear(3, 20), nn.Dropout(0.5), nn.Linear(20, 2)))
    batches = ([X[:3], X[3:]], [Y[:3], Y[3:]]) if several else (X, Y)
    operator = HessianOperator(model, F.mse_loss, *batches)
    v, w = normal(operator.shape[0], seed=2), normal(operator.shape[0], seed=3)
    first = operator @ v
    torch.rand(5, generator=None)
    assert torch.equal(operator @ v, first)
    assert float(w @ first) == pytest.approx(float(v @ (operator @ w)), rel=1e-10)


def test_unused_frozen_and_linear_parameters():
    model = small()
    model.extra = nn.Parameter(torch.ones(2, dtype=torch.float64))

    class OnlyFirst(nn.Module):
        def __init__(self):
            super().__init__()
            self.used = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
            self.unused = nn.Parameter(torch.ones(3, dtype=torch.float64))

        def forward(self, x):
            return self.used**3 * x

    operator = HessianOperator(OnlyFirst(), lambda out, _: out.sum(), torch.ones(1).double(), None)
    assert (operator @ torch.eye(4)).tolist() == torch.diag(torch.tensor([12.0, 0, 0, 0])).tolist()
    frozen = small()
    frozen[0].requires_grad_(False)
    assert HessianOperator(frozen, F.mse_loss, X, Y).shape == (10, 10)
    line = filled(nn.Linear(3, 2))
    linear = HessianOperator(line, lambda out, _: out.sum(), X, None)
    assert not (linear @ torch.ones(8)).any()


def test_numpy_in_numpy_out_and_dtypes():
    operator = HessianOperator(small().float(), F.mse_loss, X.float(), Y.float())
    n = operator.shape[0]
    out = operator.matvec(np.ones(n))
    assert isinstance(out, np.ndarray)
    assert out.dtype == np.float32
    assert (operator @ torch.ones(n, dtype=torch.int64)).dtype == torch.float32


@pytest.mark.parametrize(
    ("v", "error"),
    [
        (torch.ones(25), ValueError),
        (torch.ones(26, 1), ValueError),
        (torch.ones(()), ValueError),
        (torch.full((26,), torch.nan), ValueError),
        (torch.ones(26, dtype=torch.complex64), TypeError),
        ([1.0] * 26, TypeError),
        ("v", TypeError),
    ],
)
def test_wrong_vectors(v, error):
    operator = HessianOperator(small(), F.mse_loss, X, Y)
    with pytest.raises(error, match="v must be"):
        operator.matvec(v)
    if not isinstance(v, torch.Tensor) or v.shape != (26, 1):
        with pytest.raises(error, match="v must be"):
            operator @ v


@pytest.mark.parametrize("batches", [(X, Y), ([X[:3], X[3:]], [Y[:3], Y[3:]])])
def test_vectors_of_inference_mode_and_inside_it(batches):
    operator = HessianOperator(small(), F.mse_loss, *batches)
    v, several, loss, gradient = normal(26), normal(26, 3), operator.loss, operator.gradient
    expected = operator.matvec(v), operator @ several
    with torch.inference_mode():
        copies = v.clone(), several.clone()
        inside = operator.matvec(copies[0]), operator @ copies[1]
        assert operator.loss == loss
        assert torch.equal(operator.gradient, gradient)
        assert all(torch.equal(a, b) for a, b in zip(inside, expected, strict=True))
    outside = operator.matvec(copies[0]), operator @ copies[1]
    assert all(torch.equal(a, b) for a, b in zip(outside, expected, strict=True))


@pytest.mark.parametrize("several", [False, True])
def test_sparse_gradients_are_refused(several):
    embedding = nn.Sequential(nn.Embedding(5, 2, sparse=True), nn.Linear(2, 2)).double()
    words = torch.arange(7) % 5
    batches = ([words, words], [CLASSES, CLASSES]) if several else (words, CLASSES)
    with pytest.raises(TypeError, match=r"sparse one of 0\.weight: build .* sparse=False"):
        HessianOperator(embedding, F.cross_entropy, *batches)
    embedding[0].sparse = False
    assert HessianOperator(embedding, F.cross_entropy, *batches).shape == (16, 16)


def poisoned():
    x = X.clone()
    x[2, 1] = torch.nan
    return x


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((small(), lambda out, y: (out - y) ** 2, X, Y), ValueError, "must be a scalar"),
        ((small(), lambda out, y: 3.0, X, Y), TypeError, "real scalar tensor"),
        ((small(), lambda out, y: out.detach().sum(), X, Y), ValueError, "must depend"),
        ((small(), F.mse_loss, poisoned(), Y), ValueError, "hold 1 values"),
        ((small(), F.mse_loss, X, poisoned()[:, :2]), ValueError, "targets"),
        ((small(), lambda out, y: (out - out).abs().sum().sqrt(), X, Y), ValueError, "gradient"),
        ((small().half(), F.mse_loss, X.half(), Y.half()), TypeError, "float16"),
        ((small().bfloat16(), F.mse_loss, X, Y), TypeError, "bfloat16"),
        ((nn.Tanh(), F.mse_loss, X, X), ValueError, "parameter that requires"),
        ((small().requires_grad_(False), F.mse_loss, X, Y), ValueError, "requires_grad_"),
        ((F.relu, F.mse_loss, X, Y), TypeError, "torch.nn.Module"),
        ((small(), "mse", X, Y), TypeError, "loss_fn"),
        ((small(), F.mse_loss, []), ValueError, "at least one batch"),
        ((small(), F.mse_loss, 3), TypeError, "inputs must be"),
        ((small(), F.mse_loss, [X, X]), TypeError, "inputs must be"),
        ((small(), F.mse_loss, [X], [Y, Y]), ValueError, "targets must have"),
        ((nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double()), F.mse_loss, X, Y),
         TypeError, "float32, torch.float64"),
    ],
)  # fmt: skip
def test_what_cannot_be_differentiated_says_so(arguments, error, words):
    with pytest.raises(error, match=words):
        HessianOperator(*arguments)


def test_wrong_reduction():
    with pytest.raises(ValueError, match="reduction"):
        HessianOperator(small(), F.mse_loss, [(X, Y)], reduction="none")


def test_a_norm_at_zero_is_refused():
    model = nn.Linear(3, 1, bias=False).double()
    nn.init.zeros_(model.weight)
    operator = HessianOperator(model, lambda out, _: out.abs().pow(1.5).sum(), X, None)
    with pytest.raises(ValueError, match="the Hessian must be finite"):
        operator.matvec(torch.ones(3))


def test_products_and_eigenvalues_do_without_torch_s_compiler():
    script = (
        "import sys, torch; from torch import nn; "
        "from d2lstab.measure.curvature import HessianOperator, eigenpairs, hessian_matrix; "
        "problem = nn.Linear(2, 1), nn.functional.mse_loss, torch.ones(3, 2), torch.ones(3, 1); "
        "eigenpairs(HessianOperator(*problem), 1), hessian_matrix(*problem); "
        "sys.exit('sympy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0

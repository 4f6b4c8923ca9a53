"""Training: the same numbers as a plain loop, every sample once, nothing left behind."""

import copy
import gc
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from d2lstab.optimize.rules import sgd
from d2lstab.optimize.training import train


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def problem(n=23, classes=3, dtype=torch.float64):
    random = generator(5)
    inputs = torch.randn(n, 4, generator=random, dtype=dtype)
    targets = torch.randint(classes, (n,), generator=random)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, classes)).to(dtype)
    for p in model.parameters():
        p.data = torch.randn(p.shape, generator=random, dtype=dtype) / 2
    return model, inputs, targets


def plain_loop(model, batches, optimizer, loss_fn=F.cross_entropy, scheduler=None):
    losses, norms = [], []
    for x, y in batches:
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        losses.append(loss.item())
        norms.append(math.sqrt(sum(p.grad.square().sum().item() for p in model.parameters())))
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    return torch.tensor(losses, dtype=torch.float64), torch.tensor(norms, dtype=torch.float64)


def flat(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def shuffled_batches(x, y, size, epochs, random):
    for _ in range(epochs):
        order = torch.randperm(len(x), generator=random)
        for batch in order.split(size):
            yield x[batch], y[batch]


def adam(model):
    return torch.optim.Adam(model.parameters(), lr=0.01)


def test_no_tensor_is_kept_from_an_update():
    model, x, y = problem()

    def tensors(_):
        gc.collect()
        return sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects())

    history = train(
        model, (x, y), adam(model), loss_fn=F.cross_entropy, updates=60, batch_size=5,
        generator=generator(), evaluate_every=20, watch=tensors,
    )  # fmt: skip
    _, early, _, late = history.watched
    assert late < early + 20


def test_equals_a_plain_loop_over_the_same_batches():
    model, x, y = problem()
    twin = copy.deepcopy(model)
    batches = list(shuffled_batches(x, y, 5, 4, generator(7)))
    losses, norms = plain_loop(twin, batches, adam(twin))
    history = train(
        model, (x, y), adam(model), loss_fn=F.cross_entropy, epochs=4, batch_size=5,
        generator=generator(7),
    )  # fmt: skip
    assert torch.equal(history.losses, losses)
    torch.testing.assert_close(history.gradient_norms, norms, rtol=1e-13, atol=0)
    assert torch.equal(flat(model), flat(twin))
    assert history.updates_per_epoch == 5
    assert history.diverged_at is None


def test_explicit_batches_are_taken_in_their_order():
    model, x, y = problem()
    twin = copy.deepcopy(model)
    batches = [(x[i : i + 4], y[i : i + 4]) for i in (8, 0, 4)]
    losses, _ = plain_loop(twin, batches + batches[:2], adam(twin))
    history = train(model, batches, adam(model), loss_fn=F.cross_entropy, updates=5)
    assert torch.equal(history.losses, losses)
    assert torch.equal(flat(model), flat(twin))
    assert history.train_loss is None
    assert history.updates_per_epoch == 3


def test_equals_the_trainer_of_d2l_on_the_same_batches():
    pytest.importorskip("d2l")
    from d2lstab.integrations.d2l import load

    d2l = load()
    model, x, y = problem()

    class Patient(d2l.Classifier):
        def __init__(self, net):
            super().__init__()
            self.net = net
            self.seen = []

        def training_step(self, batch):
            loss = self.loss(self(*batch[:-1]), batch[-1])
            self.seen.append(loss.item())
            return loss

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    class Batches(d2l.DataModule):
        def get_dataloader(self, train):
            return [(x[i : i + 8], y[i : i + 8]) for i in (0, 8, 16)] if train else None

    patient = Patient(copy.deepcopy(model))
    patient.board.display = False
    d2l.Trainer(max_epochs=3).fit(patient, Batches())
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    history = train(model, Batches().get_dataloader(True), sgd, loss_fn=F.cross_entropy, epochs=3)
    assert history.losses.tolist() == patient.seen
    assert torch.equal(flat(model), flat(patient))


def test_a_data_loader_is_a_source_of_batches():
    model, x, y = problem()
    loader = DataLoader(TensorDataset(x, y), batch_size=7)
    history = train(model, loader, adam(model), loss_fn=F.cross_entropy, epochs=2)
    assert len(history.losses) == 8


def test_a_tensor_dataset_is_shuffled_like_a_pair():
    model, x, y = problem()
    twin = copy.deepcopy(model)
    known = {"loss_fn": F.cross_entropy, "epochs": 1, "batch_size": 7}
    a = train(model, TensorDataset(x, y), adam(model), generator=generator(), **known)
    b = train(twin, (x, y), adam(twin), generator=generator(), **known)
    assert torch.equal(a.losses, b.losses)


@pytest.mark.parametrize("batch_size", [1, 5, 22, 23])
@pytest.mark.parametrize("drop_last", [False, True])
def test_every_sample_comes_once_an_epoch(batch_size, drop_last):
    n, epochs = 23, 3
    seen = []
    model = nn.Linear(1, 1)
    model.register_forward_pre_hook(
        lambda m, args: seen.append(args[0].flatten()) if m.training else None
    )
    numbers = torch.arange(float(n)).reshape(n, 1)
    sgd = torch.optim.SGD(model.parameters(), lr=0.0)
    history = train(
        model, (numbers, numbers), sgd, loss_fn=F.mse_loss, epochs=epochs,
        batch_size=batch_size, generator=generator(), drop_last=drop_last,
    )  # fmt: skip
    per_epoch = n // batch_size if drop_last else math.ceil(n / batch_size)
    assert history.updates_per_epoch == per_epoch
    assert len(seen) == epochs * per_epoch
    orders = [torch.cat(seen[e * per_epoch : (e + 1) * per_epoch]) for e in range(epochs)]
    for order in orders:
        assert len(order.unique()) == len(order) == (per_epoch * batch_size if drop_last else n)
    # 23! orders: two equal ones do not happen by chance.
    assert batch_size == n or not torch.equal(orders[0], orders[1])


def test_updates_may_end_in_the_middle_of_an_epoch_and_draw_nothing_more():
    model, x, y = problem()
    random = generator(3)
    history = train(
        model, (x, y), adam(model), loss_fn=F.cross_entropy, updates=10, batch_size=5,
        generator=random,
    )  # fmt: skip
    assert len(history.losses) == 10
    assert history.evaluated_at.tolist() == [0, 5, 10]
    twin = generator(3)
    for _ in range(2):
        torch.randperm(len(x), generator=twin)
    assert torch.equal(random.get_state(), twin.get_state())


def test_a_full_batch_is_not_shuffled():
    model, x, y = problem()
    random = generator(3)
    train(
        model, (x, y), adam(model), loss_fn=F.cross_entropy, epochs=2, batch_size=len(x),
        generator=random,
    )  # fmt: skip
    assert torch.equal(random.get_state(), generator(3).get_state())


def test_evaluations_are_those_of_the_model_at_that_moment():
    model, x, y = problem()
    states = []

    def watch(m):
        assert not m.training
        states.append(copy.deepcopy(m.state_dict()))
        return len(states)

    history = train(
        model, (x[:15], y[:15]), adam(model), loss_fn=F.cross_entropy, updates=7, batch_size=4,
        generator=generator(), validation=(x[15:], y[15:]), evaluate_every=3, watch=watch,
    )  # fmt: skip
    assert history.evaluated_at.tolist() == [0, 3, 6, 7]
    assert history.watched == (1, 2, 3, 4)
    for i, state in enumerate(states):
        model.load_state_dict(state)
        with torch.no_grad():
            outputs = model(x)
        for part, loss, accuracy in (
            (slice(0, 15), history.train_loss, history.train_accuracy),
            (slice(15, None), history.validation_loss, history.validation_accuracy),
        ):
            expected = F.cross_entropy(outputs[part], y[part]).item()
            assert loss[i].item() == pytest.approx(expected, rel=1e-13)
            right = (outputs[part].argmax(1) == y[part]).double().mean().item()
            assert accuracy[i].item() == pytest.approx(right, rel=1e-13)


def test_regression_has_no_accuracy_unless_one_is_given():
    model, x, _ = problem()
    y = torch.zeros(len(x), 3, dtype=torch.float64)
    known = {"loss_fn": F.mse_loss, "updates": 1, "batch_size": 4, "generator": generator()}
    assert train(model, (x, y), adam(model), **known).train_accuracy is None
    history = train(model, (x, y), adam(model), accuracy=lambda out, target: 0.25, **known)
    assert history.train_accuracy.tolist() == [0.25, 0.25]


def test_the_scheduler_steps_after_every_update():
    model, x, y = problem()
    twin = copy.deepcopy(model)

    def sgd_and_schedule(m):
        sgd = torch.optim.SGD(m.parameters(), lr=1.0, momentum=0.9)
        return sgd, torch.optim.lr_scheduler.LambdaLR(sgd, lambda t: 0.1 / (t + 1))

    sgd, schedule = sgd_and_schedule(twin)
    batches = list(shuffled_batches(x, y, 5, 2, generator(7)))
    losses, _ = plain_loop(twin, batches, sgd, scheduler=schedule)
    sgd, schedule = sgd_and_schedule(model)
    history = train(
        model, (x, y), sgd, loss_fn=F.cross_entropy, epochs=2, batch_size=5,
        generator=generator(7), scheduler=schedule,
    )  # fmt: skip
    assert torch.equal(history.losses, losses)


def test_transform_changes_the_gradients_that_are_used_not_those_that_are_recorded():
    model, x, y = problem()
    before = flat(model)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    history = train(
        model, (x, y), sgd, loss_fn=F.cross_entropy, updates=3, batch_size=5,
        generator=generator(), transform=lambda g: {n: torch.zeros_like(v) for n, v in g.items()},
    )  # fmt: skip
    assert torch.equal(flat(model), before)
    assert (history.gradient_norms > 0.01).all()


def test_divergence_is_data_and_stops_the_run():
    model = nn.Linear(1, 1, bias=False, dtype=torch.float32)
    nn.init.ones_(model.weight)
    one = torch.ones(4, 1)
    # The error is multiplied by 1 - 2 lr = -1e10 each time: its square, 1e20 after the
    # first update, leaves float32 (3.4e38) after the second.
    sgd = torch.optim.SGD(model.parameters(), lr=0.5e10)
    history = train(
        model, (one, 0 * one), sgd, loss_fn=F.mse_loss, epochs=50, batch_size=2,
        generator=generator(),
    )  # fmt: skip
    assert history.diverged_at == 2
    assert history.evaluated_at.tolist() == [0, 2]
    assert history.train_loss[-1] == math.inf
    assert model.weight.item() == pytest.approx(1e20, rel=1e-5)


def test_divergence_inside_an_epoch_makes_no_further_update():
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    one = torch.ones(8, 1)
    sgd = torch.optim.SGD(model.parameters(), lr=0.5e10)
    history = train(
        model, (one, 0 * one), sgd, loss_fn=F.mse_loss, epochs=50, batch_size=1,
        generator=generator(),
    )  # fmt: skip
    assert history.diverged_at == 2
    assert len(history.losses) == len(history.gradient_norms) == 3
    assert history.losses[-1] == math.inf
    assert model.weight.item() == pytest.approx(1e20, rel=1e-5)


@pytest.mark.parametrize("fails", [False, True])
def test_modes_and_gradients_come_back(fails):
    model, x, y = problem()
    model.insert(1, nn.BatchNorm1d(6, dtype=torch.float64))
    model.eval()
    model[0].train()
    marker = torch.ones_like(model[0].weight)
    model[0].weight.grad = marker
    calls = []

    def loss_fn(outputs, targets):
        calls.append(None)
        if fails and len(calls) == 4:
            raise RuntimeError("on purpose")
        return F.cross_entropy(outputs, targets)

    known = {"loss_fn": loss_fn, "epochs": 2, "batch_size": 8, "generator": generator()}
    if fails:
        with pytest.raises(RuntimeError, match="on purpose"):
            train(model, (x, y), adam(model), **known)
    else:
        train(model, (x, y), adam(model), **known)
    assert [m.training for m in model] == [True, False, False, False]
    assert model[0].weight.grad is marker
    assert torch.equal(marker, torch.ones_like(marker))
    assert model[0].bias.grad is None


def test_only_the_optimizers_parameters_move():
    model, x, y = problem()
    first = model[0].weight.detach().clone()
    sgd = torch.optim.SGD(model[2].parameters(), lr=0.1)
    train(
        model, (x, y), sgd, loss_fn=F.cross_entropy, epochs=1, batch_size=8, generator=generator()
    )
    assert torch.equal(model[0].weight, first)


def test_nothing_is_printed(capfd):
    model, x, y = problem()
    train(
        model, (x, y), adam(model), loss_fn=F.cross_entropy, epochs=1, batch_size=8,
        generator=generator(),
    )  # fmt: skip
    assert capfd.readouterr() == ("", "")


X, Y = torch.zeros(6, 4, dtype=torch.float64), torch.zeros(6, dtype=torch.int64)
LOADER = [(X, Y)]


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"epochs": None}, ValueError, "exactly one of epochs and updates"),
        ({"updates": 3}, ValueError, "exactly one of epochs and updates"),
        ({"epochs": 0}, ValueError, "epochs must be a positive integer"),
        ({"epochs": 1.5}, TypeError, "epochs must be a positive integer"),
        ({"epochs": True}, TypeError, "epochs must be a positive integer"),
        ({"epochs": None, "updates": -1}, ValueError, "updates must be a positive integer"),
        ({"batch_size": 7}, ValueError, "batch_size must be at most"),
        ({"batch_size": 0}, ValueError, "batch_size must be a positive integer"),
        ({"batch_size": None}, TypeError, "batch_size must be a positive integer"),
        ({"generator": None}, TypeError, "generator must be a torch.Generator"),
        ({"generator": 3}, TypeError, "generator must be a torch.Generator"),
        ({"evaluate_every": 0}, ValueError, "evaluate_every must be a positive integer"),
        ({"data": (X[:0], Y[:0])}, ValueError, "at least one sample"),
        ({"data": (X[:5], Y)}, ValueError, "as many inputs as targets"),
        ({"data": (X / 0, Y)}, ValueError, "free of NaN"),
        ({"data": (X, Y.int())}, TypeError, "int64 classes"),
        ({"data": (X, Y.bool())}, TypeError, "int64 classes"),
        ({"data": (X, Y.tolist())}, TypeError, "pair of tensors"),
        ({"data": (X, Y, Y)}, TypeError, "pair of tensors"),
        ({"data": X}, TypeError, "data must be"),
        ({"data": "digits"}, TypeError, "data must be"),
        ({"data": iter(LOADER)}, TypeError, "data must be"),
        ({"data": LOADER}, ValueError, "must be left out"),
        ({"data": [], "batch_size": None, "generator": None}, ValueError, "at least one batch"),
        ({"validation": (X, Y[:2])}, ValueError, "validation must hold as many"),
        ({"validation": X}, TypeError, "validation must be a pair"),
        ({"loss_fn": None}, TypeError, "loss_fn must be a function"),
        ({"loss_fn": lambda o, t: o.sum(1)}, ValueError, "real scalar"),
        ({"loss_fn": lambda o, t: 1.0}, TypeError, "scalar tensor"),
        ({"loss_fn": lambda o, t: o.detach().sum()}, ValueError, "must depend on"),
        ({"transform": 1.0}, TypeError, "transform must be a function"),
        ({"transform": lambda g: None}, ValueError, "transform must return a dict"),
        ({"model": "mlp"}, TypeError, "model must be a torch.nn.Module"),
        ({"optimizer": "adam"}, TypeError, "optimizer must be"),
        ({"scheduler": "cosine"}, TypeError, "scheduler must be"),
    ],
)
def test_bad_arguments_are_explained(changes, error, sentence):
    model = nn.Linear(4, 3, dtype=torch.float64)
    known = {
        "model": model, "data": (X, Y), "optimizer": adam(model), "loss_fn": F.cross_entropy,
        "epochs": 1, "batch_size": 2, "generator": generator(),
    }  # fmt: skip
    known |= changes
    positional = [known.pop(name) for name in ("model", "data", "optimizer")]
    with pytest.raises(error, match=sentence):
        train(*positional, **known)


def test_an_optimizer_that_does_not_fit_is_refused():
    model, other = nn.Linear(4, 3, dtype=torch.float64), nn.Linear(4, 3, dtype=torch.float64)
    known = {
        "loss_fn": F.cross_entropy, "epochs": 1, "batch_size": 2, "generator": generator()
    }  # fmt: skip
    with pytest.raises(ValueError, match="parameters of this model"):
        train(model, (X, Y), adam(other), **known)
    with pytest.raises(TypeError, match="LBFGS"):
        train(model, (X, Y), torch.optim.LBFGS(model.parameters()), **known)
    schedule = torch.optim.lr_scheduler.ConstantLR(adam(model))
    with pytest.raises(ValueError, match="belong to the optimizer"):
        train(model, (X, Y), adam(model), scheduler=schedule, **known)
    optimizer = adam(model)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    with pytest.raises(TypeError, match="needs no metric"):
        train(model, (X, Y), optimizer, scheduler=plateau, **known)
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="require a gradient"):
        train(model, (X, Y), optimizer, **known)


def train_once(model, data, optimizer=None, **options):
    return train(
        model, data, optimizer or sgd(0.1), loss_fn=F.cross_entropy, updates=2, batch_size=4,
        generator=generator(), **options,
    )  # fmt: skip


def test_inputs_of_another_dtype_are_told():
    model, x, y = problem(dtype=torch.float32)
    with pytest.raises(TypeError, match=r"^inputs must .* with \.to\(torch\.float32\)"):
        train_once(model, (x.double(), y))
    with pytest.raises(TypeError, match=r"^inputs must .* with \.to\(torch\.float32\)"):
        train(model, [(x.double(), y)], sgd(0.1), loss_fn=F.cross_entropy, updates=1)
    with pytest.raises(TypeError, match=r"^validation inputs must .* with \.to\(torch\.float32\)"):
        train_once(model, (x, y), validation=(x.double(), y))


def test_sparse_gradients_are_refused():
    model = nn.Sequential(nn.Embedding(5, 3, sparse=True), nn.Flatten(), nn.Linear(12, 3))
    data = torch.zeros(9, 4, dtype=torch.int64), torch.zeros(9, dtype=torch.int64)
    for optimizer in (sgd(0.1), torch.optim.SGD(model.parameters(), 0.1)):
        with pytest.raises(TypeError, match=r"sparse ones for 0\.weight"):
            train_once(model, data, optimizer)


def test_lazy_parameters_are_told():
    data = torch.ones(9, 4), torch.zeros(9, dtype=torch.int64)
    with pytest.raises(ValueError, match="run the model once"):
        train_once(nn.LazyLinear(3), data)


@pytest.mark.parametrize("inside", [True, False])
def test_the_caller_may_be_in_inference_mode(inside):
    model, x, y = problem()
    usual = train_once(copy.deepcopy(model), (x, y))
    with torch.inference_mode():
        x, y = x + 0, y + 0  # inference tensors
    with torch.inference_mode(inside):
        history = train_once(model, (x, y), validation=(x, y))
    assert history.losses.tolist() == usual.losses.tolist()
    assert not any(p.is_inference() for p in model.parameters())

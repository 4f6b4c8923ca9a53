"""Update rules: equal to torch.optim over 200 steps, pure, and honest about bad input."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from d2lstab.optimize import rules
from d2lstab.optimize.rule import Rule, packed
from d2lstab.optimize.training import train

OPTIM = torch.optim
STEPS = 200


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def schedule(step):
    """Rates that change at every step, and jump."""
    return 0.02 * (1 + math.sin(step)) + (0.05 if step % 50 < 10 else 0.0)


def torch_path(make, start, gradient, lr):
    parameters = {name: nn.Parameter(p.clone()) for name, p in start.items()}
    optimizer = make(parameters.values(), 1.0 if callable(lr) else lr)
    change = OPTIM.lr_scheduler.LambdaLR(optimizer, lr) if callable(lr) else None
    path = []
    for t in range(STEPS):
        grads = gradient({name: p.detach() for name, p in parameters.items()}, t)
        for name, p in parameters.items():
            p.grad = grads[name]
        optimizer.step()
        if change is not None:
            change.step()
        path.append(torch.cat([p.detach().flatten() for p in parameters.values()]))
    return torch.stack(path)


def rule_path(rule, start, gradient):
    params, state, path = dict(start), rule.init(start), []
    for t in range(STEPS):
        updates, state = rule.update(gradient(params, t), state, params)
        params = {name: p + updates[name] for name, p in params.items()}
        path.append(torch.cat([p.flatten() for p in params.values()]))
    return torch.stack(path)


def random_problem(seed):
    """A noisy quadratic with curvatures in [0.5, 1.5] in a 3 x 2 matrix and a vector of 4."""
    random = generator(seed)
    shapes = {"weight": (3, 2), "bias": (4,)}

    def normal(shape):
        return torch.randn(shape, generator=random, dtype=torch.float64)

    start = {name: normal(shape) for name, shape in shapes.items()}
    curvature = {name: 0.5 + torch.sigmoid(normal(shape)) for name, shape in shapes.items()}
    noise = {name: normal((STEPS, *shape)) for name, shape in shapes.items()}

    def gradient(params, t):
        return {name: curvature[name] * p + noise[name][t] for name, p in params.items()}

    return start, gradient


PAIRS = {
    "sgd": (rules.sgd, OPTIM.SGD, {}),
    "sgd, decay": (rules.sgd, OPTIM.SGD, {"weight_decay": 0.3}),
    "momentum": (rules.momentum, OPTIM.SGD, {"momentum": 0.9}),
    "momentum, dampening, decay": (
        rules.momentum,
        OPTIM.SGD,
        {"momentum": 0.8, "dampening": 0.3, "weight_decay": 0.1},
    ),
    "nesterov": (
        rules.nesterov,
        lambda p, lr, **known: OPTIM.SGD(p, lr, nesterov=True, **known),
        {"momentum": 0.9, "weight_decay": 0.1},
    ),
    "adagrad": (rules.adagrad, OPTIM.Adagrad, {}),
    "adagrad, all": (
        rules.adagrad,
        OPTIM.Adagrad,
        {"lr_decay": 0.1, "weight_decay": 0.2, "initial_accumulator_value": 0.5, "eps": 1e-3},
    ),
    "rmsprop": (rules.rmsprop, OPTIM.RMSprop, {}),
    "rmsprop, all": (
        rules.rmsprop,
        OPTIM.RMSprop,
        {"alpha": 0.9, "eps": 1e-3, "weight_decay": 0.2, "momentum": 0.5, "centered": True},
    ),
    "rmsprop, momentum": (rules.rmsprop, OPTIM.RMSprop, {"momentum": 0.5}),
    "adam": (rules.adam, OPTIM.Adam, {}),
    "adam, all": (
        rules.adam,
        OPTIM.Adam,
        {"betas": (0.5, 0.8), "eps": 1e-2, "weight_decay": 0.3},
    ),
    "amsgrad": (
        rules.amsgrad,
        lambda p, lr, **known: OPTIM.Adam(p, lr, amsgrad=True, **known),
        {"betas": (0.9, 0.9), "weight_decay": 0.1},
    ),
    "adamw": (rules.adamw, OPTIM.AdamW, {}),
    "adamw, all": (rules.adamw, OPTIM.AdamW, {"weight_decay": 0.5, "eps": 1e-3}),
    "radam": (rules.radam, OPTIM.RAdam, {}),
    "radam, all": (
        rules.radam,
        OPTIM.RAdam,
        {"betas": (0.8, 0.99), "eps": 1e-3, "weight_decay": 0.2},
    ),
}


@pytest.mark.parametrize("lr", [0.05, schedule], ids=["constant", "changing"])
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())
def test_equals_torch_over_200_steps(pair, lr):
    ours, theirs, known = pair
    for seed in range(2):
        start, gradient = random_problem(seed)
        a = rule_path(ours(lr, **known), start, gradient)
        b = torch_path(lambda p, rate: theirs(p, rate, **known), start, gradient, lr)
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def steps_of(rule, gradients):
    """The updates that a sequence of gradients of one parameter causes."""
    x = torch.zeros(1, dtype=torch.float64)
    state, found = rule.init(x), []
    for g in gradients:
        update, state = rule.update(torch.tensor([g], dtype=torch.float64), state, x)
        found.append(update.item())
    return found


def test_constant_gradient_by_hand():
    assert steps_of(rules.momentum(0.01, 0.9), [3.7] * 3) == pytest.approx(
        [-0.037, -0.0703, -0.10027], rel=1e-14
    )
    assert steps_of(rules.adagrad(1.0, eps=0.0), [3.7] * 3) == pytest.approx(
        [-1, -(2**-0.5), -(3**-0.5)], rel=1e-14
    )
    assert steps_of(rules.mean_rms(1.0), [3.7] * 3) == pytest.approx([-1, -1, -1], rel=1e-14)
    assert steps_of(rules.rmsprop(1.0, eps=0.0), [3.7])[0] == pytest.approx(-10, rel=1e-13)
    lees = rules.rmsprop(1.0, eps=0.0, full_first_square=True)
    assert steps_of(lees, [3.7] * 3) == pytest.approx([-1, -1, -1], rel=1e-14)
    assert steps_of(rules.adam(1.0, eps=0.0), [3.7] * 3) == pytest.approx([-1] * 3, rel=1e-13)
    raw = steps_of(rules.adam(1.0, eps=0.0, bias_correction=False), [3.7])[0]
    assert raw == pytest.approx(-0.1 / math.sqrt(0.001), rel=1e-13)


def test_radam_drops_when_it_starts_to_divide():
    found = steps_of(rules.radam(0.01), [3.7] * 6)
    assert found[:5] == pytest.approx([-0.037] * 5, rel=1e-13)
    # rho_6 = 5.9942 by the definition; r_6 follows, and m^ / sqrt(v^) is 1.
    rho = 1999 - 12 * 0.999**6 / (1 - 0.999**6)
    r = math.sqrt((rho - 4) * (rho - 2) * 1999 / (1995 * 1997 * rho))
    # 1 - 0.999 carries a relative round-off of 1e-13 into rho, eps = 1e-8 one of 3e-8.
    assert found[5] == pytest.approx(-0.01 * r, rel=1e-6)


def test_the_lectures_rmsprop_by_its_own_formula():
    gradients = [2.0, -1.0, 0.5, 3.0]
    square, expected = gradients[0] ** 2, []
    for t, g in enumerate(gradients):
        square = square if t == 0 else 0.9 * square + 0.1 * g * g
        expected.append(-g / math.sqrt(square))
    lees = rules.rmsprop(1.0, alpha=0.9, eps=0.0, full_first_square=True)
    assert steps_of(lees, gradients) == pytest.approx(expected, rel=1e-14)


def test_buffered_rates_differ_only_when_the_rate_changes():
    random = torch.randn(50, generator=generator(), dtype=torch.float64).tolist()
    lees = rules.momentum(0.1, rate_in_buffer=True)
    assert steps_of(lees, random) == pytest.approx(steps_of(rules.momentum(0.1), random), rel=1e-12)

    def drop(step):
        return 1.0 if step == 0 else 0.0

    assert steps_of(rules.momentum(drop, 0.5), [1.0, 1.0])[1] == 0
    assert steps_of(rules.momentum(drop, 0.5, rate_in_buffer=True), [1.0, 1.0])[1] == -0.5


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.lists(st.floats(-1e3, 1e3).filter(lambda g: abs(g) > 1e-3), min_size=1, max_size=30))
def test_mean_rms_with_a_decaying_rate_is_adagrad(gradients):
    decayed = rules.mean_rms(lambda step: 1 / math.sqrt(step + 1))
    assert steps_of(decayed, gradients) == pytest.approx(
        steps_of(rules.adagrad(1.0, eps=0.0), gradients), rel=1e-13
    )


def test_mean_rms_stands_still_where_there_was_no_gradient():
    assert steps_of(rules.mean_rms(1.0), [0.0, 0.0, 5.0]) == [0, 0, pytest.approx(-(3**0.5))]


ALL = {name: getattr(rules, name) for name in rules.__all__ if name not in ("Rate", "Rule")}


@pytest.mark.parametrize("rule", ALL.values(), ids=ALL.keys())
def test_update_changes_nothing_and_dicts_equal_tensors(rule):
    made = rule(0.1, weight_decay=0.1)
    x, g = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 3.0])
    one, many = made.init(x), made.init({"a": x[:1], "b": x[1:]})
    for _ in range(8):
        before = copy.deepcopy((x, g, one))
        update, after = made.update(g, one, x)
        assert repr((x, g, one)) == repr(before)
        twin, many = made.update({"a": g[:1], "b": g[1:]}, many, {"a": x[:1], "b": x[1:]})
        torch.testing.assert_close(torch.cat(list(twin.values())), update, rtol=0, atol=0)
        x, one = x + update, after
    assert one["step"] == many["step"] == 8


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rule", ALL.values(), ids=ALL.keys())
def test_packed_into_one_tensor_a_rule_makes_the_same_numbers_to_the_last_bit(rule, dtype):
    random, rule = generator(5), rule(schedule, weight_decay=0.1)
    shapes = {"weight": (37, 5), "none": (0, 3), "bias": (5,), "scale": ()}
    params = {n: torch.randn(s, generator=random, dtype=dtype) for n, s in shapes.items()}
    small = packed(rule, params)
    assert small is not rule
    states, moved = [rule.init(params), small.init(params)], [params, params]
    for _ in range(20):
        grads = {n: torch.randn(s, generator=random, dtype=dtype) for n, s in shapes.items()}
        backwards = dict(reversed(grads.items()))
        for i, (r, given_) in enumerate(((rule, grads), (small, backwards))):
            updates, states[i] = r.update(given_, states[i], moved[i])
            moved[i] = {n: p + updates[n] for n, p in moved[i].items()}
    for name, p in moved[0].items():
        assert torch.equal(p, moved[1][name]), name


def test_packed_leaves_alone_what_it_may_not_pack():
    params = {"a": torch.zeros(2), "b": torch.zeros(3)}
    own = Rule(lambda params: {"step": 0}, lambda grads, state, params: (grads, dict(state)))
    assert packed(own, params) is own
    adam = rules.adam(0.1)
    assert packed(adam, params | {"c": torch.zeros(1, dtype=torch.float64)}) is adam
    assert packed(adam, {}) is adam
    small = packed(adam, params)
    with pytest.raises(ValueError, match=r"got \(3,\) for \(2,\)"):
        small.update({"a": torch.zeros(3), "b": torch.zeros(2)}, small.init(params), params)


@pytest.mark.parametrize("rule", ALL.values(), ids=ALL.keys())
def test_nan_gradients_are_data_and_dtype_follows(rule):
    made = rule(0.1)
    for dtype in (torch.float16, torch.float32, torch.float64):
        x = torch.zeros(2, dtype=dtype)
        update, _ = made.update(torch.tensor([math.nan, 1.0], dtype=dtype), made.init(x), x)
        assert update.isnan().tolist() == [True, False]
        assert update.dtype == dtype


@pytest.mark.parametrize("rule", ALL.values(), ids=ALL.keys())
def test_every_rule_refuses_bad_rates_and_decays(rule):
    for bad in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="lr must be"):
            rule(bad)
        with pytest.raises(ValueError, match="weight_decay must be"):
            rule(0.1, weight_decay=bad)
    for bad in ("0.1", None, True):
        with pytest.raises(TypeError, match="lr must be"):
            rule(bad)
    with pytest.raises(TypeError, match="params must be"):
        rule(0.1).init(torch.tensor([1, 2]))
    with pytest.raises(TypeError, match="params must be"):
        rule(0.1).init([1.0])
    x = torch.zeros(2)
    with pytest.raises(ValueError, match="shapes of params"):
        rule(0.1).update(torch.zeros(3), rule(0.1).init(x), x)
    with pytest.raises(ValueError, match="names of params"):
        rule(0.1).update({"b": x}, rule(0.1).init({"a": x}), {"a": x})


@pytest.mark.parametrize("rule", ALL.values(), ids=ALL.keys())
def test_every_rule_refuses_what_a_schedule_may_not_give(rule):
    x = torch.zeros(2)
    for bad, error in ((math.nan, ValueError), (-1.0, ValueError), (None, TypeError)):
        made = rule(lambda step, bad=bad: 0.1 if step == 0 else bad)
        _, state = made.update(x, made.init(x), x)
        with pytest.raises(error, match=r"lr must be .*: the schedule gave it at step 1"):
            made.update(x, state, x)
    for good in (1, torch.tensor(1.0)):
        made = rule(lambda step, good=good: good)
        expected = rule(1.0).update(x + 1, rule(1.0).init(x), x)[0]
        assert torch.equal(made.update(x + 1, made.init(x), x)[0], expected)


@pytest.mark.parametrize("rule", ALL.values(), ids=ALL.keys())
def test_every_rule_refuses_what_is_no_gradient(rule):
    x = torch.zeros(2)
    made, params = rule(0.1), {"a": x, "b": x}
    for bad in (None, 1.0):
        words = f"got {type(bad).__name__}: pass torch.zeros_like"
        with pytest.raises(TypeError, match=words):
            made.update({"a": x, "b": bad}, made.init(params), params)
        with pytest.raises(TypeError, match=words):
            made.update(bad, made.init(x), x)
    with pytest.raises(ValueError, match="structure of params, got a tensor for dict"):
        made.update(x, made.init(params), params)


def test_the_state_of_another_rule_is_refused():
    x = torch.zeros(2)
    adam, sgd, params = rules.adam(0.1), rules.sgd(0.1), {"a": x}
    with pytest.raises(ValueError, match=r"this rule's init.* got one without 'mean'"):
        adam.update(x, sgd.init(x), x)
    with pytest.raises(ValueError, match="got one without 'step'"):
        sgd.update(x, {}, x)
    with pytest.raises(ValueError, match="got one without 'a'"):
        adam.update(params, adam.init({"b": x}), params)
    with pytest.raises(ValueError, match="got one without 'a'"):
        adam.update(params, adam.init(x), params)
    with pytest.raises(TypeError, match="got NoneType"):
        sgd.update(x, None, x)


@pytest.mark.parametrize("rule", ALL.values(), ids=ALL.keys())
def test_a_state_holds_no_graph(rule):
    x = nn.Parameter(torch.ones(2))
    gradient = torch.autograd.grad((x**3).sum(), x, create_graph=True)[0]
    made = rule(0.1, weight_decay=0.1)
    update, state = made.update(gradient, made.init(x), x)
    assert not update.requires_grad
    assert not any(t.requires_grad for t in state.values() if isinstance(t, torch.Tensor))


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: rules.momentum(0.1, momentum=-0.1), ValueError),
        (lambda: rules.momentum(0.1, momentum=math.nan), ValueError),
        (lambda: rules.momentum(0.1, dampening=2.0), ValueError),
        (lambda: rules.nesterov(0.1, momentum=-0.1), ValueError),
        (lambda: rules.adagrad(0.1, lr_decay=-1.0), ValueError),
        (lambda: rules.adagrad(0.1, initial_accumulator_value=-1.0), ValueError),
        (lambda: rules.adagrad(0.1, eps=-1.0), ValueError),
        (lambda: rules.mean_rms(0.1, eps=math.nan), ValueError),
        (lambda: rules.rmsprop(0.1, alpha=1.1), ValueError),
        (lambda: rules.rmsprop(0.1, alpha=math.nan), ValueError),
        (lambda: rules.rmsprop(0.1, momentum=-1.0), ValueError),
        (lambda: rules.adam(0.1, betas=(1.0, 0.9)), ValueError),
        (lambda: rules.adam(0.1, betas=(0.9, -0.1)), ValueError),
        (lambda: rules.adamw(0.1, betas=(0.9, math.nan)), ValueError),
        (lambda: rules.amsgrad(0.1, betas=0.9), TypeError),
        (lambda: rules.radam(0.1, betas=(0.9, 0.9, 0.9)), TypeError),
        (lambda: rules.radam(0.1, eps=-1e-8), ValueError),
    ],
)
def test_bad_hyper_parameters(make, error):
    with pytest.raises(error, match="must be"):
        make()


@pytest.mark.parametrize(
    "pair", [PAIRS["momentum"], PAIRS["adam"], PAIRS["adamw"]], ids=["momentum", "adam", "adamw"]
)
def test_training_with_a_rule_is_training_with_torch(pair):
    ours, theirs, known = pair
    random = generator(1)
    x = torch.randn(20, 3, generator=random, dtype=torch.float64)
    y = torch.randn(20, 1, generator=random, dtype=torch.float64)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    for p in model.parameters():
        p.data = torch.randn(p.shape, generator=random, dtype=torch.float64)
    twin = copy.deepcopy(model)
    common = {"loss_fn": nn.functional.mse_loss, "epochs": 10, "batch_size": 3}
    a = train(model, (x, y), ours(0.02, **known), generator=generator(), **common)
    torchs = theirs(twin.parameters(), 0.02, **known)
    b = train(twin, (x, y), torchs, generator=generator(), **common)
    torch.testing.assert_close(a.losses, b.losses, rtol=1e-11, atol=1e-13)
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-11, atol=1e-12)


def test_training_with_a_rule_leaves_unused_parameters_alone():
    model = nn.ModuleDict({"used": nn.Linear(1, 1), "idle": nn.Linear(1, 1)})
    model.forward = lambda x: model["used"](x)
    before = model["idle"].weight.item()
    one = torch.ones(2, 1)
    train(
        model, (one, one), rules.adam(0.1), loss_fn=nn.functional.mse_loss, updates=2,
        batch_size=1, generator=generator(),
    )  # fmt: skip
    assert model["idle"].weight.item() == before
    with pytest.raises(ValueError, match="scheduler must be left out"):
        train(
            model, (one, one), rules.adam(0.1), loss_fn=nn.functional.mse_loss, updates=2,
            batch_size=1, generator=generator(), scheduler="any",
        )  # fmt: skip

"""What `train` costs beside a plain loop, our rules beside torch's, noise beside its loop,
and 100,000 updates on the (b, w) valley.

Run: python benchmarks/training.py
CPU time on one thread, medians; what is compared is timed in turn within one run.
"""

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from d2lstab.measure.noise import gradient_noise
from d2lstab.optimize import rules
from d2lstab.optimize.descent import descend
from d2lstab.optimize.training import train
from d2lstab.specimens.networks import mlp
from d2lstab.specimens.surfaces import VALLEY_START, regression_valley

SAMPLES = 1347  # three quarters of the digits
REPEATS = 7
CASES = {  # name: (our rule, torch's optimizer)
    "sgd": (rules.sgd(0.05), lambda p: torch.optim.SGD(p, 0.05)),
    "momentum": (rules.momentum(0.05, 0.9), lambda p: torch.optim.SGD(p, 0.05, momentum=0.9)),
    "nesterov": (
        rules.nesterov(0.05, 0.9),
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
    ),
    "rmsprop": (rules.rmsprop(1e-3), lambda p: torch.optim.RMSprop(p, 1e-3)),
    "adam": (rules.adam(1e-3), lambda p: torch.optim.Adam(p, 1e-3)),
}


def cpu_seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def medians(*runs: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    rounds = [[cpu_seconds(run) for run in runs] for _ in range(repeats + 1)][1:]
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def problem(dtype: torch.dtype = torch.float32) -> tuple:
    generator = torch.Generator().manual_seed(0)
    model = mlp([64, 64, 10], "relu", generator=generator).to(dtype)
    x = torch.randn(SAMPLES, 64, generator=generator, dtype=dtype)
    return model, x, torch.randint(10, (SAMPLES,), generator=generator)


def plain_loop(model, x, y, optimizer, batch_size: int, epochs: int) -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for batch in torch.randperm(len(x), generator=generator).split(batch_size):
            optimizer.zero_grad()
            F.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()


def training() -> None:
    print("digits-sized MLP 64-64-10: seconds per epoch and ratios")
    print(f"{'optimizer':>10} {'batch':>5} {'loop ms':>8} {'train/loop':>10} {'rule/torch':>10}")
    for name, (rule, torchs) in CASES.items():
        for batch_size, epochs in ((8, 1), (64, 5), (SAMPLES, 40)):
            model, x, y = problem()

            def through_train(optimizer, model=model, x=x, y=y, size=batch_size, epochs=epochs):
                generator = torch.Generator().manual_seed(0)
                train(
                    model, (x, y), optimizer, loss_fn=F.cross_entropy, epochs=epochs,
                    batch_size=size, generator=generator,
                )  # fmt: skip

            optimizer = torchs(model.parameters())
            loop, with_torch, with_rule = medians(
                lambda: plain_loop(model, x, y, optimizer, batch_size, epochs),  # noqa: B023
                lambda: through_train(optimizer),  # noqa: B023
                lambda: through_train(rule),  # noqa: B023
            )
            print(
                f"{name:>10} {batch_size:5} {loop / epochs * 1e3:8.2f} {with_torch / loop:10.2f} "
                f"{with_rule / with_torch:10.2f}"
            )


def noise() -> None:
    print("gradient noise of 1347 samples, 64-64-10")
    for dtype in (torch.float32, torch.float64):
        model, x, y = problem(dtype)
        parameters = list(model.parameters())

        def loop(model=model, x=x, y=y, parameters=parameters):
            rows = []
            for i in range(SAMPLES):
                loss = F.cross_entropy(model(x[i : i + 1]), y[i : i + 1])
                found = torch.autograd.grad(loss, parameters)
                rows.append(torch.cat([g.flatten() for g in found]))
            stacked = torch.stack(rows)
            return (stacked - stacked.mean(0)).square().sum(1).mean()

        slow, fast = medians(
            loop, lambda: gradient_noise(model, F.cross_entropy, x, y), repeats=3  # noqa: B023
        )  # fmt: skip
        print(f"{dtype!s:>14}: loop {slow * 1e3:7.1f} ms, ours {fast * 1e3:6.1f} ms, "
              f"{slow / fast:5.1f} times")  # fmt: skip


def valley() -> None:
    print("100,000 updates on the (b, w) valley")
    surface = regression_valley()
    for name, rule in (
        ("sgd", rules.sgd(1e-7)),
        ("mean_rms", rules.mean_rms(1.0)),
        ("adagrad", rules.adagrad(100.0)),
        ("adam", rules.adam(0.1)),
    ):
        (seconds,) = medians(
            lambda: descend(surface, VALLEY_START, rule, 100_000), repeats=3  # noqa: B023
        )  # fmt: skip
        print(f"{name:>14}: {seconds:5.2f} s")


def main() -> None:
    torch.set_num_threads(1)
    training()
    noise()
    valley()


if __name__ == "__main__":
    main()

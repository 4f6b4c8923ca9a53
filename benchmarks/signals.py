"""What `record_signals` costs beside one plain training step of the same network.

Run: python benchmarks/signals.py
CPU time on one thread, medians; both are timed in turn within one run.
"""

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from d2lstab.measure.signals import record_signals
from d2lstab.specimens.networks import mlp

REPEATS = 15
CASES = [  # layers, width, activation, batch: the digits have 64 pixels and 10 classes
    (10, 100, "relu", 256),
    (10, 100, "sigmoid", 1797),
    (30, 100, "relu", 256),
    (30, 100, "tanh", 1797),
    (30, 256, "relu", 256),
    (30, 256, "tanh", 1797),
]


def cpu_seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def main() -> None:
    torch.set_num_threads(1)
    print(
        f"{'layers':>6} {'width':>5} {'phi':>8} {'batch':>5} {'step ms':>8} {'record ms':>9} ratio"
    )
    for depth, width, phi, batch in CASES:
        generator = torch.Generator().manual_seed(0)
        sizes = [64, *[width] * (depth - 1), 10]
        model = mlp(sizes, phi, generator=generator, init="he_normal")
        x = torch.randn(batch, 64, generator=generator)
        y = torch.randint(10, (batch,), generator=generator)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)

        def step(model=model, x=x, y=y, optimizer=optimizer) -> None:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()

        def record(model=model, x=x, y=y) -> None:
            record_signals(model, F.cross_entropy, x, y)

        pairs = [(cpu_seconds(step), cpu_seconds(record)) for _ in range(REPEATS + 2)][2:]
        plain = statistics.median(p for p, _ in pairs)
        ours = statistics.median(r for _, r in pairs)
        print(
            f"{depth:6} {width:5} {phi:>8} {batch:5} {plain * 1e3:8.2f} {ours * 1e3:9.2f} "
            f"{ours / plain:5.2f}"
        )


if __name__ == "__main__":
    main()

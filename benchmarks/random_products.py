"""Batched products of random matrices beside the Python loop over trials and layers.

Run: python benchmarks/random_products.py
CPU time on one thread, medians. The loop runs fewer trials and is scaled up; its time
per trial does not depend on their number. Wide matrices cost their random numbers, in
either way, and there batching has little to win.
"""

import statistics
import time
from collections.abc import Callable

import torch

from d2lstab.measure.random_products import log_norms, lyapunov_estimates

REPEATS = 5
CASES = [(4, 100, 1000), (4, 10_000, 200), (16, 100, 1000), (64, 100, 100), (256, 30, 20)]


def cpu_seconds(run: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return statistics.median(times)


def loop_norms(n: int, depth: int, trials: int, generator: torch.Generator) -> torch.Tensor:
    growth = torch.empty(trials, depth, dtype=torch.float64)
    for trial in range(trials):
        x = torch.full((n,), n**-0.5, dtype=torch.float64)
        total = 0.0
        for layer in range(depth):
            x = torch.randn(n, n, dtype=torch.float64, generator=generator) @ x
            norm = x.norm()
            x = x / norm
            total += float(norm.log())
            growth[trial, layer] = total
    return growth


def loop_exponents(n: int, depth: int, trials: int, generator: torch.Generator) -> torch.Tensor:
    total = torch.zeros(n, dtype=torch.float64)
    for _ in range(trials):
        q = torch.eye(n, dtype=torch.float64)
        for _ in range(depth):
            matrix = torch.randn(n, n, dtype=torch.float64, generator=generator)
            q, r = torch.linalg.qr(matrix @ q)
            total += r.diagonal().abs().log()
    return total / (depth * trials)


def main() -> None:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    print(
        f"{'function':>18} {'n':>4} {'depth':>6} {'trials':>6} {'batched s':>9} {'loop s':>8} ratio"
    )
    for batched, loop in ((log_norms, loop_norms), (lyapunov_estimates, loop_exponents)):
        for n, depth, trials in CASES:
            few = max(1, min(trials, 2000 // depth))
            ours = cpu_seconds(
                lambda f=batched, a=(n, depth, trials): f(*a, std=1.0, generator=generator)
            )
            theirs = cpu_seconds(lambda f=loop, a=(n, depth, few): f(*a, generator))
            theirs *= trials / few
            print(
                f"{batched.__name__:>18} {n:4} {depth:6} {trials:6} {ours:9.3f} {theirs:8.2f} "
                f"{theirs / ours:5.1f}"
            )


if __name__ == "__main__":
    main()

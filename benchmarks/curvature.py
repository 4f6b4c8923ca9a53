"""Curvature in units of one gradient: products, eigenvalues, the matrix; ensembles.

Run: python benchmarks/curvature.py
A 64-64-64-10 tanh network, all 1797 digits, cross-entropy, float32. CPU time on one thread,
medians; what is compared is timed in turn. Beside it stand curvlinops 3.0.1 with scipy's eigsh
and PyHessian 0.1 where they are installed (`pip install --no-deps curvlinops-for-pytorch==3.0.1
pyhessian==0.1 backpack-for-pytorch einconv einops unfoldNd tqdm linear_operator jaxtyping
wadler-lindig`; without --no-deps they may replace torch).
"""

import copy
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn

from d2lstab.measure.curvature import HessianOperator, eigenpairs, hessian_matrix
from d2lstab.measure.krylov import Subspace, local_generator
from d2lstab.measure.symmetric_operator import symmetric_operator
from d2lstab.optimize.ensembles import train_ensemble
from d2lstab.optimize.minibatches import Minibatches, endless
from d2lstab.optimize.rules import sgd
from d2lstab.optimize.training import train
from d2lstab.specimens.networks import mlp

try:
    from curvlinops import HessianLinearOperator
except ImportError:
    HessianLinearOperator = None
try:
    from pyhessian import hessian as PyHessian
except ImportError:
    PyHessian = None

ACCURACY = 1e-3
Run = Callable[[], object]


def cpu_seconds(run: Run) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def medians(*runs: Run, repeats: int) -> list[float]:
    rounds = [[cpu_seconds(run) for run in runs] for _ in range(repeats + 1)][1:]
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def digits() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)


def network(x: Tensor, y: Tensor, steps: int) -> nn.Sequential:
    model = mlp([64, 64, 64, 10], "tanh", generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model


def plain_gradient(model: nn.Module, x: Tensor, y: Tensor) -> Run:
    return lambda: torch.autograd.grad(F.cross_entropy(model(x), y), list(model.parameters()))


def pyhessian(model: nn.Module, x: Tensor, y: Tensor):
    found = PyHessian(copy.deepcopy(model), F.cross_entropy, data=(x, y), cuda=False)
    for p in found.model.parameters():
        p.grad = None  # it has made a cycle of them
    return found


def curvlinops(model: nn.Module, x: Tensor, y: Tensor):
    return HessianLinearOperator(
        model, nn.CrossEntropyLoss(), list(model.parameters()), [(x, y)], check_deterministic=False
    )


def line(what: str, *cells: str) -> None:
    print(f"{what:44s}" + "".join(f"{cell:>22s}" for cell in cells))


def products(model: nn.Module, x: Tensor, y: Tensor) -> None:
    operator = HessianOperator(model, F.cross_entropy, x, y)
    v, many = torch.ones(operator.shape[0]), torch.eye(operator.shape[0])[:, :80].contiguous()
    runs = {
        "gradient": plain_gradient(model, x, y),
        "product, cached": lambda: operator @ v,
        "product, fresh": lambda: HessianOperator(model, F.cross_entropy, x, y) @ v,
        "row of the matrix, generic (of 80)": lambda: operator @ many,
    }
    if HessianLinearOperator is not None:
        peer = curvlinops(model, x, y)
        runs["product, curvlinops"] = lambda: peer @ v
        runs["row of the matrix, curvlinops (of 80)"] = lambda: peer @ many
    times = dict(zip(runs, medians(*runs.values(), repeats=15), strict=True))
    unit = times.pop("gradient")
    line("one gradient", f"{1e3 * unit:.2f} ms")
    for name, seconds in times.items():
        line(name, f"{seconds / unit / (80 if '80' in name else 1):.2f} gradients")
    n = operator.shape[0]
    unit, whole = medians(
        runs["gradient"], lambda: hessian_matrix(model, F.cross_entropy, x, y), repeats=2
    )
    line("row of the matrix, structured (of all)", f"{whole / unit / n:.2f} gradients")


def krylov_bound(operator: HessianOperator, exact: Tensor) -> int:
    """Products after which a Krylov space first holds the values to the accuracy."""
    symmetric, k = symmetric_operator(operator), len(exact)
    space = Subspace(symmetric, 400)
    v = torch.randn(symmetric.n, generator=local_generator(symmetric.device))
    direction = v / v.norm()
    while space.size < space.capacity:
        direction, _ = space.expand(direction)
        values = space.ritz()[0].flip(0)[:k] * space.scale
        if len(values) == k and bool(((values - exact).abs() <= ACCURACY * exact).all()):
            break
    return space.size


def spectrum(model: nn.Module, x: Tensor, y: Tensor, k: int) -> None:
    operator = HessianOperator(model, F.cross_entropy, x, y)
    double = HessianOperator(copy.deepcopy(model).double(), F.cross_entropy, x.double(), y)
    exact = eigenpairs(double, k, 1e-8).values
    found: dict[str, tuple[int, float]] = {}

    def note(name: str, made: int, values: object) -> None:
        ordered = torch.as_tensor(np.sort(np.asarray(values))[::-1].copy()).double()
        found[name] = made, float(((ordered - exact).abs() / exact).max())

    def ours() -> None:
        fresh = HessianOperator(model, F.cross_entropy, x, y)
        pairs = eigenpairs(fresh, k, ACCURACY)
        note("eigenpairs", pairs.products, pairs.values)

    def arpack(name: str, multiply: Callable[[], Callable[[Tensor], Tensor]]) -> Run:
        def run() -> None:
            count, apply = [0], multiply()

            def matvec(u: np.ndarray) -> np.ndarray:
                count[0] += 1
                return apply(torch.from_numpy(u).float().flatten()).detach().numpy()

            linear = LinearOperator(operator.shape, matvec=matvec, dtype=np.float32)
            values = eigsh(linear, k, which="LA", tol=ACCURACY, return_eigenvectors=False)
            note(name, count[0], values)

        return run

    def power() -> None:
        peer = pyhessian(model, x, y)
        note("PyHessian", 0, peer.eigenvalues(maxIter=1000, tol=ACCURACY, top_n=k)[0])

    runs = {
        "eigenpairs": ours,
        "eigsh on our product": arpack(
            "eigsh on our product",
            lambda: HessianOperator(model, F.cross_entropy, x, y).matvec,
        ),
    }
    if HessianLinearOperator is not None:
        runs["eigsh on curvlinops"] = arpack(
            "eigsh on curvlinops", lambda: curvlinops(model, x, y).__matmul__
        )
    if PyHessian is not None:
        runs["PyHessian"] = power
    unit, *times = medians(plain_gradient(model, x, y), *runs.values(), repeats=5)
    line(f"  {k} largest", "gradients", "products", "relative error")
    for name, seconds in zip(runs, times, strict=True):
        made, error = found[name]
        line(f"    {name}", f"{seconds / unit:.0f}", str(made or "not told"), f"{error:.1e}")
    line("    Krylov lower bound", "", str(krylov_bound(operator, exact)))


def ensembles(x: Tensor, y: Tensor, batch: int) -> None:
    x = F.avg_pool2d(x.view(-1, 1, 8, 8), 2).flatten(1)
    random = torch.Generator().manual_seed(0)
    models = [mlp([16, 8, 10], "tanh", generator=random) for _ in range(200)]
    updates, few = 100, 20

    def order() -> torch.Generator:
        return torch.Generator().manual_seed(1)

    def together() -> None:
        train_ensemble(
            models, (x, y), sgd(0.1), loss_fn=F.cross_entropy, updates=updates,
            batch_size=batch, generator=order(),
        )  # fmt: skip

    def plain_loop() -> None:
        for model in copy.deepcopy(models[:few]):
            optimizer = torch.optim.SGD(model.parameters(), 0.1)
            source = endless(Minibatches(x, y, batch, False, order()))
            for _, (inputs, targets) in zip(range(updates), source, strict=False):
                optimizer.zero_grad()
                F.cross_entropy(model(inputs), targets).backward()
                optimizer.step()

    def one_by_one() -> None:
        for model in copy.deepcopy(models[:few]):
            train(
                model, (x, y), sgd(0.1), loss_fn=F.cross_entropy, updates=updates,
                batch_size=batch, generator=order(),
            )  # fmt: skip

    ours, plain, trained = medians(together, plain_loop, one_by_one, repeats=5)
    print(f"\n200 networks 16-8-10, {updates} updates of {batch} digits")
    line("train_ensemble", f"{ours:.2f} s")
    for name, seconds in (("bare loop with torch.optim", plain), ("loop over `train`", trained)):
        whole = seconds * len(models) / few
        line(f"{name}, one by one", f"{whole:.2f} s", f"{whole / ours:.1f} times")


def main() -> None:
    torch.set_num_threads(1)
    x, y = digits()
    products(network(x, y, 0), x, y)
    for steps in (0, 30):
        print(f"\nafter {steps} training steps, to {ACCURACY:g}")
        for k in (1, 10):
            spectrum(network(x, y, steps), x, y, k)
    for batch in (16, 32):
        ensembles(x, y, batch)


if __name__ == "__main__":
    main()

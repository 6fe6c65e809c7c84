"""Times `mbbp.fit_many` beside trainings one after another, JAX's vmap, and a loop over torch.

    python benchmarks/many.py [--quick] [--json FILE] [--threads 2]

64 networks are trained on the same 4,096 examples, each with its own parameters and order of the examples; sigmoid
neurons, the quadratic cost, SGD, float32. All run in one process that is pinned to as many cores as it has threads, and
take turns; the median of several turns counts. Code is compiled before. Before any timing, all train from the same
parameters in the same order, and one whose parameters then differ is an error.

The last line of each table is of networks with different sizes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

K = 64
SOME = 4  # of them are trained where one is trained after another: more would only take longer
CASES = (((10, 64, 64, 1), 32, 10), ((784, 30, 10), 10, 4))  # sizes, mini-batch, epochs in a turn
LEARNING_RATE = 0.5  # of mbbp.bench.implementations
TOLERANCE = 1e-3  # relative to the change of the parameters in an epoch, for float32
ALONE = "one network alone, one core"
ONE_CORE = "fit_many, one core"
ALL_CORES = "fit_many"
MIXED = "different sizes, one after another, one core"
MIXED_CORES = "different sizes, fit_many"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer turns")
    parser.add_argument("--threads", type=int, default=2, help="how many threads, and cores, all may use")
    parser.add_argument("--json", type=Path, help="write the rates to this file")
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from benchmarks.held import describe, hold

    about = hold("benchmarks.many", options.threads)
    print(describe(about, "torch", "jax", "jaxlib"))
    rows = []
    for sizes, batch_size, epochs in CASES:
        race = Race(sizes, batch_size, epochs, options.threads)
        race.run(2 if options.quick else 7)
        print(f"\n{race.table()}", flush=True)
        rows.append({"sizes": sizes, "batch_size": batch_size, "rates": race.rates})
    if options.json:
        options.json.write_text(json.dumps({"machine": about, "rows": rows}, indent=1), encoding="utf-8")


class Race:
    """Trainings of networks of the same sizes that take turns.

    Attributes
    ----------
    rates : dict of str to list of float
        For each contestant, the examples per second of each turn; examples are counted once for each network and epoch.
    """

    def __init__(self, sizes: tuple[int, ...], batch_size: int, epochs: int, threads: int) -> None:
        from mbbp.bench.cases import Case, make_case_data

        self.sizes, self.batch_size, self.epochs, self.threads = sizes, batch_size, epochs, threads
        self.case = Case(sizes, batch_size, what="epoch", n=4096)
        self.data = make_case_data(self.case, seed=0)
        self.n = self.data.n - self.data.n % batch_size
        rows, targets = self.data.rows("float32")
        self.X, self.Y = np.asfortranarray(rows[: self.n].T), np.asfortranarray(targets[: self.n].T)
        self.networks = [self._network(sizes, i) for i in range(K)]
        self.thetas = [net.theta.astype(np.float64) for net in self.networks]
        self.rates: dict[str, list[float]] = {}
        self.left_out: list[str] = []

    def _network(self, sizes: tuple[int, ...], seed: int) -> Any:
        import mbbp

        return mbbp.Network(sizes, rng=seed)

    def fit(self, networks: list[Any], threads: int, *, epochs: int = 0, shuffle: bool = True) -> None:
        """Train networks of mbbp together."""
        import mbbp

        mbbp.set_threads(threads)
        mbbp.fit_many(networks, self.X, self.Y, progress=False, shuffle=shuffle, **self._arguments(epochs))
        mbbp.set_threads(self.threads)

    def _arguments(self, epochs: int) -> dict[str, Any]:
        return {
            "epochs": epochs or self.epochs,
            "batch_size": self.batch_size,
            "learning_rate": LEARNING_RATE,
        }

    def fit_alone(self, networks: list[Any]) -> None:
        """Train networks of mbbp one after another, on one core."""
        import mbbp

        mbbp.set_threads(1)
        for net in networks:
            net.fit(self.X, self.Y, progress=False, **self._arguments(0))
        mbbp.set_threads(self.threads)

    def contestants(self) -> dict[str, tuple[Callable[[], Any], int]]:
        """Return what takes turns, and how many examples each counts in a turn.

        Raises
        ------
        ArithmeticError
            If two differ.
        """
        expected = [self._network(self.sizes, i) for i in range(K)]
        self.fit(expected, self.threads, epochs=1, shuffle=False)
        after = np.stack([net.theta for net in expected])
        mixed = [self._network(self._other_sizes(i), i) for i in range(K)]
        whole = K * self.n * self.epochs
        found: dict[str, tuple[Callable[[], Any], int]] = {
            ALONE: (lambda: self.fit_alone(self.networks[:SOME]), whole * SOME // K),
            ONE_CORE: (lambda: self.fit(self.networks, 1), whole),
            ALL_CORES: (lambda: self.fit(self.networks, self.threads), whole),
            MIXED: (lambda: self.fit_alone(mixed), whole),
            MIXED_CORES: (lambda: self.fit(mixed, self.threads), whole),
        }
        for name, make in (
            ("JAX, vmap of the scan", self.jax_vmap),
            ("JAX, the scan of one after another", self.jax_loop),
            ("torch, one after another", self.torch_loop),
        ):
            try:
                call, thetas = make()
            except ImportError as error:
                self.left_out.append(f"{name} was left out: {error}")
                continue
            call()
            changed = thetas()
            self._check(name, changed, after[: len(changed)])
            found[name] = (call, len(changed) * self.n)
        return found

    def _other_sizes(self, number: int) -> tuple[int, ...]:
        """Return sizes whose hidden layers are up to a quarter narrower or wider."""
        factor = 0.75 + 0.5 * number / (K - 1)
        return (self.sizes[0], *(round(factor * size) for size in self.sizes[1:-1]), self.sizes[-1])

    def _check(self, name: str, found: Any, expected: Any) -> None:
        change = np.abs(expected - np.stack(self.thetas[: len(expected)])).max()
        difference = np.abs(found - expected).max() / change
        if not difference <= TOLERANCE:
            raise ArithmeticError(f"{name}, {self.sizes}: the parameters differ by {difference:.2g}")

    def _orders(self) -> list[Any]:
        """Return an order of the examples for each network; before the timing they are not shuffled."""
        return [np.random.default_rng(i).permutation(self.n) for i in range(K)]

    def jax_vmap(self) -> tuple[Callable[[], None], Callable[[], Any]]:
        """Return an epoch of all networks by JAX in one call: vmap of a scan over the steps."""
        import jax

        from mbbp.parameters import parameter_views

        def forward(parameters: Any, a: Any) -> Any:
            for w, b in parameters:
                a = jax.nn.sigmoid(a @ w + b)
            return a

        def loss(parameters: Any, x: Any, y: Any) -> Any:
            return 0.5 * ((forward(parameters, x) - y) ** 2).sum() / x.shape[0]

        X, Y = jax.device_put(self.X.T.copy()), jax.device_put(self.Y.T.copy())

        def epoch(parameters: Any, batches: Any) -> Any:
            def step(parameters: Any, batch: Any) -> Any:
                gradient = jax.grad(loss)(parameters, X[batch], Y[batch])
                return jax.tree.map(lambda p, g: p - LEARNING_RATE * g, parameters, gradient), None

            return jax.lax.scan(step, parameters, batches)[0]

        train = jax.jit(jax.vmap(epoch), donate_argnums=0)
        layers = list(
            zip(*(zip(*parameter_views(theta, self.sizes), strict=True) for theta in self.thetas), strict=True)
        )
        state = {
            "parameters": [
                tuple(jax.device_put(np.stack(part).astype(np.float32)) for part in (
                    [w.T for w, _ in layer], [b.ravel() for _, b in layer]
                ))
                for layer in layers
            ]
        }  # fmt: skip
        same = np.broadcast_to(np.arange(self.n, dtype=np.int32), (K, self.n))
        batches = [same.reshape(K, -1, self.batch_size)]
        shuffled = np.stack(self._orders()).astype(np.int32).reshape(K, -1, self.batch_size)

        def run() -> None:
            state["parameters"] = train(state["parameters"], batches[0])
            jax.block_until_ready(state["parameters"])
            batches[0] = shuffled

        def thetas() -> Any:
            from mbbp.bench.implementations import flatten

            arrays = [(np.asarray(w), np.asarray(b)) for w, b in state["parameters"]]
            return np.stack([flatten([w[k].T for w, _ in arrays], [b[k] for _, b in arrays]) for k in range(K)])

        return run, thetas

    def jax_loop(self) -> tuple[Callable[[], None], Callable[[], Any]]:
        """Return an epoch of each network by JAX, one after another: a scan over the steps."""
        from mbbp.bench.peers import Jax

        return self._one_after_another(Jax)

    def torch_loop(self) -> tuple[Callable[[], None], Callable[[], Any]]:
        """Return an epoch of each network by torch, one after another."""
        from mbbp.bench.peers import Torch

        return self._one_after_another(Torch)

    def _one_after_another(self, peer: Any) -> tuple[Callable[[], None], Callable[[], Any]]:
        if reason := peer.missing():
            raise ImportError(reason)
        one = peer(self.case, self.data)
        thetas, orders = self.thetas[:SOME], [[np.arange(self.n)] * SOME]

        def run() -> None:
            for number in range(SOME):
                one.reset(thetas[number])
                one.steps(orders[0][number])
                thetas[number] = one.theta()
            orders[0] = self._orders()

        return run, lambda: np.stack(thetas)

    def run(self, turns: int) -> None:
        """Time all, several turns each."""
        contestants = self.contestants()
        for turn in range(turns + 1):
            for name, (call, examples) in contestants.items():
                began = time.perf_counter()
                call()
                if turn:  # the first turn finds what is not compiled yet
                    self.rates.setdefault(name, []).append(examples / (time.perf_counter() - began))

    def table(self) -> str:
        """Return the rates in Markdown, and how many times as fast `fit_many` is."""
        title = f"{K} networks [{', '.join(map(str, self.sizes))}], m = {self.batch_size}"
        lines = [f"| {title} | million examples per second | fit_many: times as fast |", "|---|---:|---:|"]
        for name in self.rates:
            ours = MIXED_CORES if name in (MIXED, MIXED_CORES) else ALL_CORES
            ratio = statistics.median(a / b for a, b in zip(self.rates[ours], self.rates[name], strict=True))
            lines.append(f"| {name} | {statistics.median(self.rates[name]) / 1e6:.3f} | {ratio:.2f} |")
        return "\n".join([*lines, *self.left_out])


if __name__ == "__main__":
    main()

"""Times what privacy costs: the norms of the gradients of single examples, and a step of DP-SGD over one of SGD.

    python benchmarks/private.py [--quick] [--json FILE] [--only WORDS]

Each library is compared with itself, in one run: its norms with its plain gradient, and its step of DP-SGD (clipping
each example's gradient, noise, update) with its plain step of SGD on the same mini-batches of examples in memory. All
take turns in one process with one thread, pinned to one core; the fastest call counts. The networks are sigmoid with
the cross-entropy, in float32. A second table compares the epsilon of two accountants.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

NETWORKS = ((784, 30, 10), (24, 8, 2))
BATCHES = (32, 128, 512)
CLIP_NORM, NOISE, RATE = 1.0, 1.0, 0.1
STEPS = {784: 16, 24: 256}  # in each call, by the number of inputs
GRADIENT, NORMS, STEP, PRIVATE = "gradient", "norms", "SGD", "DP-SGD"
SETTINGS = (  # noise multiplier, sample rate, steps, delta
    (1.0, 0.01, 1_000, 1e-5),
    (1.1, 256 / 60_000, 14_062, 1e-5),
    (0.7, 0.02, 500, 1e-5),
    (2.0, 0.1, 2_000, 1e-6),
    (4.0, 0.05, 10_000, 1e-6),
    (10.0, 1.0, 100, 1e-5),
    (0.5, 0.001, 10_000, 1e-6),
)

Calls = dict[str, Callable[[], Any]]


class Data:
    """The examples of a case, and the orders of the mini-batches."""

    def __init__(self, sizes: tuple[int, ...], m: int) -> None:
        import numpy as np

        import mbbp

        rng = np.random.default_rng(0)
        self.sizes, self.m, self.steps = sizes, m, STEPS[sizes[0]]
        self.n = self.steps * m
        self.X = rng.standard_normal((sizes[0], self.n)).astype(np.float32)
        self.labels = rng.integers(0, sizes[-1], self.n)
        self.Y = np.eye(sizes[-1], dtype=np.float32)[:, self.labels].copy()
        self.net = mbbp.Network(sizes, activation="sigmoid", cost="cross_entropy", rng=0)

    def parts(self) -> list[tuple[Any, Any]]:
        """Return copies of the weights (n_out, n_in) and biases (n_out,) of each layer."""
        return [(layer.W.copy(), layer.b.ravel().copy()) for layer in self.net.layers]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer calls")
    parser.add_argument("--json", type=Path, help="write the times to this file")
    parser.add_argument("--only", default="", help="only libraries whose names contain this")
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from benchmarks.held import describe, hold

    about = hold("benchmarks.private")
    print(describe(about, "torch", "opacus", "jax", "dp-accounting"))
    rows, left_out = [], {}
    for sizes, m in itertools.product(NETWORKS, BATCHES):
        rows += measure(sizes, m, 0.1 if options.quick else 1.0, options.only, left_out)
    print(table(rows))
    for name, reason in left_out.items():
        print(f"\n{name} was left out: {reason}")
    epsilons = compare_accountants()
    print(epsilon_table(epsilons))
    if options.json:
        record = {"machine": about, "rows": rows, "left_out": left_out, "epsilons": epsilons}
        options.json.write_text(json.dumps(record, indent=1), encoding="utf-8")


def measure(
    sizes: tuple[int, ...], m: int, seconds: float, only: str, left_out: dict[str, str]
) -> list[dict[str, Any]]:
    """Return a row for each library: the least microseconds of each call, for one gradient or step."""
    from benchmarks.turns import least_us

    calls: Calls = {}
    data = Data(sizes, m)
    names = []
    for name, package, make in LIBRARIES:
        if only not in name:
            continue
        if importlib.util.find_spec(package) is None:
            left_out[name] = "not installed"
            continue
        try:
            for what, call in make(data):
                call()
                calls[f"{name}: {what}"] = call
        except (AttributeError, TypeError, ValueError, NotImplementedError) as error:
            left_out[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
        names.append(name)
    us = least_us(calls, seconds)
    rows = []
    for name in names:
        times = {
            what: us[f"{name}: {what}"] / (1 if what in (GRADIENT, NORMS) else data.steps)
            for what in (GRADIENT, NORMS, STEP, PRIVATE)
            if f"{name}: {what}" in us
        }
        rows.append({"sizes": sizes, "m": m, "library": name, "us": times})
    return rows


def by_mbbp(data: Data) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield mbbp's calls. A call of `fit` is one epoch, and a whole call is timed."""
    import mbbp

    net, X, Y = data.net, data.X[:, : data.m].copy(order="F"), data.Y[:, : data.m].copy(order="F")
    columns = data.X.T.copy().T  # each example contiguous, as it is in a table of rows
    fixed = {"epochs": 1, "batch_size": data.m, "progress": False}
    yield GRADIENT, lambda: net.gradient(X, Y)
    plain, private = (mbbp.Network(data.sizes, "sigmoid", "cross_entropy", rng=0) for _ in range(2))
    yield STEP, lambda: plain.fit(columns, data.labels, optimizer="sgd", learning_rate=RATE, **fixed)
    yield NORMS, lambda: net.gradient_norms(X, Y)
    optimizer = mbbp.DPSGD(noise_multiplier=NOISE, clip_norm=CLIP_NORM)
    yield PRIVATE, lambda: private.fit(columns, data.labels, optimizer=optimizer, learning_rate=RATE, **fixed)


def _torch_model(data: Data) -> tuple[Any, Any, Any]:
    """Return the model without the last sigmoid, and the rows."""
    import torch

    torch.set_num_threads(1)
    layers: list[Any] = []
    for W, b in data.parts():
        layer = torch.nn.Linear(W.shape[1], W.shape[0])
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(W))
            layer.bias.copy_(torch.from_numpy(b))
        layers += [layer, torch.nn.Sigmoid()]
    return torch.nn.Sequential(*layers[:-1]), torch.from_numpy(data.X.T.copy()), torch.from_numpy(data.Y.T.copy())


def _torch_loss(outputs: Any, targets: Any) -> Any:
    """Return the cross-entropy of sigmoids, summed over the outputs, mean over the examples."""
    import torch

    return torch.nn.functional.binary_cross_entropy_with_logits(outputs, targets, reduction="sum") / targets.shape[0]


def _torch_steps(data: Data, model: Any, optimizer: Any, loss_of: Callable[..., Any]) -> Callable[[], None]:
    """Return a pass over the mini-batches of a new order."""
    import torch

    _, X, Y = _torch_model(data)

    def steps() -> None:
        for batch in torch.randperm(data.n).split(data.m):
            optimizer.zero_grad()
            loss_of(model(X.index_select(0, batch)), Y.index_select(0, batch)).backward()
            optimizer.step()

    return steps


def by_opacus(data: Data, mode: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the calls of PyTorch and Opacus. Both steps gather their mini-batches in the same way, without a loader."""
    import torch

    warnings.filterwarnings("ignore", message="Full backward hook is firing")
    from opacus import GradSampleModule, PrivacyEngine

    model, X, Y = _torch_model(data)
    x, y = X[: data.m].clone(), Y[: data.m].clone()

    def gradient() -> None:
        model.zero_grad()
        _torch_loss(model(x), y).backward()

    yield GRADIENT, gradient
    plain = _torch_model(data)[0]
    yield STEP, _torch_steps(data, plain, torch.optim.SGD(plain.parameters(), lr=RATE), _torch_loss)
    if mode == "hooks":
        sampled = GradSampleModule(_torch_model(data)[0])

        def norms() -> Any:
            sampled.zero_grad()
            _torch_loss(sampled(x), y).backward()
            squares = [p.grad_sample.flatten(1).square().sum(1) for p in sampled.parameters()]
            return torch.stack(squares).sum(0).sqrt()

        yield NORMS, norms
    private = _torch_model(data)[0].train()
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, Y), batch_size=data.m)
    engine = PrivacyEngine(accountant="rdp", secure_mode=False)
    ghost = {"criterion": _Criterion()} if mode == "ghost" else {}
    wrapped, optimizer, *rest = engine.make_private(
        module=private,
        optimizer=torch.optim.SGD(private.parameters(), lr=RATE),
        data_loader=loader,
        noise_multiplier=NOISE,
        max_grad_norm=CLIP_NORM,
        poisson_sampling=False,
        grad_sample_mode=mode,
        **ghost,
    )
    optimizer.attach_step_hook(lambda _: None)  # in place of the accountant, whose history would grow
    yield PRIVATE, _torch_steps(data, wrapped, optimizer, rest[0] if mode == "ghost" else _torch_loss)


def _Criterion() -> Any:  # noqa: N802 -- a class that is made late, because torch is loaded late
    """Return the cross-entropy as a module with a `reduction`, as the ghost clipping of Opacus needs it."""
    import torch

    class Criterion(torch.nn.Module):
        reduction = "mean"

        def forward(self, outputs: Any, targets: Any) -> Any:
            each = torch.nn.functional.binary_cross_entropy_with_logits(outputs, targets, reduction="none").sum(1)
            return each if self.reduction == "none" else each.mean()

    return Criterion()


def by_jax(data: Data) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield JAX's calls, the steps of a call in one ``lax.scan``, as it is fastest."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    from jax.flatten_util import ravel_pytree

    jax.config.update("jax_enable_x64", False)
    parameters = [(jax.device_put(W.T.copy()), jax.device_put(b)) for W, b in data.parts()]
    X, Y = jax.device_put(data.X.T.copy()), jax.device_put(data.Y.T.copy())
    x, y = X[: data.m], Y[: data.m]
    rng = np.random.default_rng(0)

    def loss(parameters: Any, x: Any, y: Any) -> Any:
        for i, (W, b) in enumerate(parameters):
            z = x @ W + b
            x = jax.nn.sigmoid(z) if i < len(parameters) - 1 else z
        return (jnp.logaddexp(0.0, x) - y * x).sum() / max(1, x.size // y.shape[-1])

    by_example = jax.vmap(jax.grad(loss), (None, 0, 0))

    def norms_of(gradients: Any) -> Any:
        return jnp.sqrt(sum((g * g).reshape(g.shape[0], -1).sum(1) for g in jax.tree.leaves(gradients)))

    def plain(parameters: Any, batch: Any) -> Any:
        gradient = jax.grad(loss)(parameters, X[batch], Y[batch])
        return jax.tree.map(lambda p, g: p - RATE * g, parameters, gradient), None

    def private(carried: Any, batch: Any) -> Any:
        parameters, key = carried
        gradients = by_example(parameters, X[batch], Y[batch])
        factors = jnp.minimum(1.0, CLIP_NORM / norms_of(gradients))
        leaves, tree = jax.tree.flatten(parameters)
        key, *keys = jax.random.split(key, len(leaves) + 1)
        summed = [jnp.tensordot(factors, g, 1) for g in jax.tree.leaves(gradients)]
        noisy = [g + NOISE * CLIP_NORM * jax.random.normal(k, g.shape) for g, k in zip(summed, keys, strict=True)]
        new = [p - RATE / data.m * g for p, g in zip(leaves, noisy, strict=True)]
        return (jax.tree.unflatten(tree, new), key), None

    # one array: to return one for each parameter can take longer than the gradient
    gradient = jax.jit(lambda parameters, x, y: ravel_pytree(jax.grad(loss)(parameters, x, y))[0])
    norms = jax.jit(lambda parameters, x, y: norms_of(by_example(parameters, x, y)))
    train = jax.jit(lambda parameters, batches: jax.lax.scan(plain, parameters, batches)[0])
    train_privately = jax.jit(lambda carried, batches: jax.lax.scan(private, carried, batches)[0])

    def batches() -> Any:
        return rng.permutation(data.n).astype(np.int32).reshape(data.steps, data.m)

    key = jax.random.key(0)
    yield GRADIENT, lambda: jax.block_until_ready(gradient(parameters, x, y))
    yield NORMS, lambda: jax.block_until_ready(norms(parameters, x, y))
    yield STEP, lambda: jax.block_until_ready(train(parameters, batches()))
    yield PRIVATE, lambda: jax.block_until_ready(train_privately((parameters, key), batches())[0])


LIBRARIES: tuple[tuple[str, str, Callable[[Data], Iterator[tuple[str, Callable[[], Any]]]]], ...] = (
    ("mbbp", "mbbp", by_mbbp),
    ("Opacus", "opacus", lambda data: by_opacus(data, "hooks")),
    ("Opacus, ghost clipping", "opacus", lambda data: by_opacus(data, "ghost")),
    ("JAX", "jax", by_jax),
)


def table(rows: list[dict[str, Any]]) -> str:
    """Return the table of times and of how much more each costs than the plain one, in percent."""

    def more(us: dict[str, float], what: str, than: str) -> str:
        return f"{100.0 * (us[what] / us[than] - 1.0):+.0f}%" if what in us and than in us else ""

    lines = [
        "\n| µs, float32 | | gradient | norms | more | SGD step | DP-SGD step | more |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        us = row["us"]
        cells = [f"{us[what]:,.1f}" if what in us else "" for what in (GRADIENT, NORMS, STEP, PRIVATE)]
        cells.insert(2, more(us, NORMS, GRADIENT))
        cells.append(more(us, PRIVATE, STEP))
        lines.append(f"| {list(row['sizes'])}, m = {row['m']} | {row['library']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def compare_accountants() -> list[dict[str, Any]]:
    """Return the epsilon of Opacus and of dp-accounting for some settings, and the orders that they find best."""
    if any(importlib.util.find_spec(package) is None for package in ("opacus", "dp_accounting")):
        return []
    import dp_accounting
    from dp_accounting.rdp import RdpAccountant
    from opacus.accountants import RDPAccountant
    from opacus.accountants.analysis import rdp

    results = []
    for noise, rate, steps, delta in SETTINGS:
        event = dp_accounting.SelfComposedDpEvent(
            dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise)), steps
        )
        began = time.perf_counter()
        google = RdpAccountant().compose(event)
        theirs, order = google.get_epsilon_and_optimal_order(delta)
        seconds = time.perf_counter() - began
        orders = RDPAccountant.DEFAULT_ALPHAS

        def opacus(alphas: Any, settings: tuple[float, float, int, float] = (noise, rate, steps, delta)) -> Any:
            noise, rate, steps, delta = settings
            spent = rdp.compute_rdp(q=rate, noise_multiplier=noise, steps=steps, orders=alphas)
            return rdp.get_privacy_spent(orders=alphas, rdp=spent, delta=delta)

        epsilon, best = opacus(orders)
        same, _ = opacus(list(google._orders))
        results.append(
            {
                "noise_multiplier": noise,
                "sample_rate": rate,
                "steps": steps,
                "delta": delta,
                "dp_accounting": theirs,
                "dp_accounting_order": float(order),
                "dp_accounting_seconds": seconds,
                "opacus": float(epsilon),
                "opacus_order": float(best),
                "opacus_same_orders": float(same),
            }
        )
    return results


def epsilon_table(results: list[dict[str, Any]]) -> str:
    """Return the table of the accountants."""
    lines = [
        "\n| noise, sample rate, steps, delta | dp-accounting | order | Opacus | order | Opacus, the other's orders |",
        "|---|---|---|---|---|---|",
    ]
    for one in results:
        setting = f"{one['noise_multiplier']:g}, {one['sample_rate']:.4g}, {one['steps']:,}, {one['delta']:g}"
        lines.append(
            f"| {setting} | {one['dp_accounting']:.10g} | {one['dp_accounting_order']:g} | {one['opacus']:.10g} | "
            f"{one['opacus_order']:g} | {one['opacus_same_orders']:.10g} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()

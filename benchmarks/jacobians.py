"""Times `Network.jacobian` beside JAX and torch.func, on 1,000 examples.

    python benchmarks/jacobians.py [--quick] [--json FILE]

A Jacobian has the derivative of each output of each example with respect to each parameter, (n_L, m, P). All give one
array with the parameters side by side, in mbbp's order, and agree to 1e-10 in float64. They take turns in one process
with one thread, pinned to one core; the fastest of many calls counts. Code is compiled before.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

M = 1_000
NETWORKS = ((8, 10, 1), (10, 64, 64, 1))
TOLERANCES = {"float64": 1e-10, "float32": 1e-4}  # relative to the largest derivative
OURS = "mbbp"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer calls")
    parser.add_argument("--json", type=Path, help="write the times to this file")
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from benchmarks.held import describe, hold

    about = hold("benchmarks.jacobians")
    print(describe(about, "torch", "jax"))
    seconds = 0.2 if options.quick else 2.0
    rows = [measure(sizes, dtype, seconds) for sizes, dtype in itertools.product(NETWORKS, ("float32", "float64"))]
    print(table(rows))
    for reason in dict.fromkeys(reason for row in rows for reason in row["left_out"]):
        print(f"\n{reason}")
    if options.json:
        options.json.write_text(json.dumps({"machine": about, "rows": rows}, indent=1), encoding="utf-8")


def measure(sizes: tuple[int, ...], dtype: str, seconds: float) -> dict[str, Any]:
    """Return the least microseconds of a Jacobian, by the name of the implementation.

    Raises
    ------
    ArithmeticError
        If two differ.
    """
    import numpy as np

    import mbbp
    from benchmarks.turns import least_us

    net = mbbp.Network(sizes, ["tanh"] * (len(sizes) - 2) + ["identity"], dtype=dtype, rng=0)
    X = np.random.default_rng(0).standard_normal((sizes[0], M)).astype(dtype)
    calls: dict[str, Callable[[], Any]] = {}
    left_out = []
    expected = None
    for name, make in implementations(net, X):
        try:
            call = make()
            found = np.asarray(call(), dtype=np.float64).reshape(M, -1)
        except ImportError as error:
            left_out.append(f"{name} was left out: {error}")
            continue
        except Exception as error:  # a compiler can fail in any way
            left_out.append(f"{name} was left out: {type(error).__name__}: {' '.join(str(error).split())[:160]}")
            continue
        expected = found if expected is None else expected
        difference = np.abs(found - expected).max() / np.abs(expected).max()
        if not difference <= TOLERANCES[dtype]:
            raise ArithmeticError(f"{name}, {sizes}, {dtype}: the Jacobian differs by {difference:.2g}")
        calls[name] = call
    return {"sizes": sizes, "dtype": dtype, "us": least_us(calls, seconds), "left_out": left_out}


def implementations(net: Any, X: Any) -> Iterator[tuple[str, Callable[[], Callable[[], Any]]]]:
    """Yield the name of each implementation, and what makes its call."""
    import numpy as np

    def ours_out() -> Callable[[], Any]:
        out = np.empty((net.sizes[-1], X.shape[1], net.theta.size), net.dtype)
        return lambda: net.jacobian(X, out=out)

    yield f"{OURS}, out=", ours_out
    yield OURS, lambda: lambda: net.jacobian(X)
    for name, by_example in (("jax, vmap(jacrev)", True), ("jax, jacrev of the batch", False)):
        yield name, lambda by_example=by_example: by_jax(net, X, by_example)
    for name, is_compiled in (("torch.func, vmap(jacrev)", False), ("torch.func, compiled", True)):
        yield name, lambda is_compiled=is_compiled: by_torch(net, X, is_compiled)


def _installed(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise ImportError("not installed")


def by_jax(net: Any, X: Any, by_example: bool) -> Callable[[], Any]:
    """Return a compiled call of JAX."""
    _installed("jax")
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", net.dtype == "float64")
    sizes = net.sizes
    rows, theta = jax.device_put(X.T.copy()), jax.device_put(net.theta.copy())

    def forward(theta: Any, a: Any) -> Any:
        place = 0
        for i, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
            W = theta[place : place + n_in * n_out].reshape(n_in, n_out)
            a = a @ W + theta[place + n_in * n_out : place + n_in * n_out + n_out]
            place += n_in * n_out + n_out
            a = a if i == len(sizes) - 2 else jnp.tanh(a)
        return a

    # both give (m, 1, P), which is (1, m, P) in memory
    jacobian = jax.vmap(jax.jacrev(forward), (None, 0)) if by_example else jax.jacrev(forward)
    compiled = jax.jit(jacobian)
    return lambda: jax.block_until_ready(compiled(theta, rows))


def by_torch(net: Any, X: Any, is_compiled: bool) -> Callable[[], Any]:
    """Return a call of torch.func. The flat parameters are split inside, so that the derivatives lie side by side."""
    _installed("torch")
    import torch

    torch.set_num_threads(1)
    sizes = net.sizes
    rows, theta = torch.from_numpy(X.T.copy()), torch.from_numpy(net.theta.copy())
    counts = [count for n_in, n_out in itertools.pairwise(sizes) for count in (n_in * n_out, n_out)]

    def forward(theta: Any, a: Any) -> Any:
        parts = theta.split(counts)
        for i, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
            a = a @ parts[2 * i].view(n_in, n_out) + parts[2 * i + 1]
            a = a if i == len(sizes) - 2 else torch.tanh(a)
        return a

    jacobian = torch.func.vmap(torch.func.jacrev(forward), (None, 0))
    if is_compiled:
        torch._dynamo.reset()
        jacobian = torch.compile(jacobian, dynamic=False)

    def call() -> Any:
        with torch.no_grad():
            return jacobian(theta, rows)

    return call


def table(rows: list[dict[str, Any]]) -> str:
    """Return the table: microseconds, and how many times as long as mbbp with ``out=`` they are."""
    names = list(dict.fromkeys(name for row in rows for name in row["us"]))
    lines = [
        "\n| m = 1,000 | " + " | ".join(f"{list(row['sizes'])}, {row['dtype']}" for row in rows) + " |",
        "|---" * (len(rows) + 1) + "|",
    ]
    for name in names:
        cells = []
        for row in rows:
            us, ours = row["us"].get(name), row["us"].get(f"{OURS}, out=")
            ratio = f" ({us / ours:.2g}x)" if us and ours else ""
            cells.append(f"{us:,.0f} µs{ratio}" if us else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

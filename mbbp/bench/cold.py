"""The cost of a cold start: the import and the first training, measured in new processes.

This library is measured with the kernels that were installed with it, if there are any that fit, and with kernels that
are compiled: with an empty cache, and with those that an earlier process has left there.
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

from mbbp.bench.table import duration
from mbbp.kernels.lowlevel import prebuilt

RUNS = 3
RUNS_COMPILING = 2  # each of these takes long, and the time that it measures is long, so noise matters less
NETWORK = "[784, 30, 10], 100 examples, m = 10, one epoch"

_CLOCKED = """
import json, time, warnings
warnings.simplefilter("ignore")
began = time.perf_counter()
{imports}
imported = time.perf_counter()
import numpy as np
rng = np.random.default_rng(0)
rows, labels = rng.random((100, 784), np.float32), np.arange(100) % 10
def train():
{train}
start = time.perf_counter()
train()
print(json.dumps([imported - began, time.perf_counter() - start]))
"""

_OURS = """
net = mbbp.Network([784, 30, 10], rng=0, dtype={dtype!r})
net.fit(rows.T, labels, epochs=1, batch_size=10, learning_rate=0.5)
"""

_PROGRAMS = {
    "mbbp": ("import mbbp", _OURS.format(dtype="float32")),
    "mbbp, float64": ("import mbbp", _OURS.format(dtype="float64")),
    "torch": (
        "import torch",
        """
X, Y = torch.from_numpy(rows), torch.from_numpy(np.eye(10, dtype=np.float32)[labels])
sigmoid = torch.nn.Sigmoid
net = torch.nn.Sequential(torch.nn.Linear(784, 30), sigmoid(), torch.nn.Linear(30, 10), sigmoid())
optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
for batch in torch.randperm(100).split(10):
    optimizer.zero_grad()
    (0.5 * ((net(X[batch]) - Y[batch]) ** 2).sum() / 10).backward()
    optimizer.step()
""",
    ),
    "jax": (
        "import jax",
        """
Y = np.eye(10, dtype=np.float32)[labels]
def outputs(parameters, a):
    for w, b in parameters:
        a = jax.nn.sigmoid(a @ w + b)
    return a
def cost(parameters, batch):
    return 0.5 * ((outputs(parameters, X[batch]) - Y[batch]) ** 2).sum() / 10
def step(parameters, batch):
    return jax.tree.map(lambda p, g: p - 0.5 * g, parameters, jax.grad(cost)(parameters, batch)), None
X, Y = jax.device_put(rows), jax.device_put(Y)
sizes = [(784, 30), (30, 10)]
parameters = [(np.zeros(s, np.float32), np.zeros(s[1], np.float32)) for s in sizes]
epoch = jax.jit(lambda parameters, batches: jax.lax.scan(step, parameters, batches)[0])
jax.block_until_ready(epoch(parameters, rng.permutation(100).reshape(10, 10)))
""",
    ),
    "sklearn": (
        "from sklearn.neural_network import MLPClassifier",
        """
net = MLPClassifier((30,), activation="logistic", solver="sgd", batch_size=10, learning_rate_init=0.5, max_iter=1)
net.fit(rows, labels)
""",
    ),
}


def program(name: str) -> str:
    """Return the Python program that measures the cold start of a library; it prints two times in seconds."""
    imports, train = _PROGRAMS[name]
    body = "\n".join(f"    {line}" for line in train.strip().splitlines())
    return _CLOCKED.format(imports=imports, train=body)


def measure_cold(
    peers: Sequence[str], environment: dict[str, str], tell: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Measure the cold start of this library, with and without its compiled code in the cache, and of the peers.

    Parameters
    ----------
    peers : sequence of str
        The other libraries to measure.
    environment : dict
        The environment variables of the processes.
    tell : callable
        Called with a message about each thing that is being measured.

    Returns
    -------
    list of dict
        See ``cold`` in `mbbp.bench.record.SCHEMA`.
    """
    found = []
    compiling = environment | {"MBBP_JIT": "1"}
    with tempfile.TemporaryDirectory(prefix="mbbp-cold-") as unused:
        if prebuilt.why_not() is None:
            for name in ("mbbp", "mbbp, float64"):
                runs = _runs(name, environment | {"NUMBA_CACHE_DIR": unused}, tell)
                found.append(_least(name, "installed kernels", runs))
    with tempfile.TemporaryDirectory(prefix="mbbp-cold-") as warm:
        starts = []
        for run in range(RUNS_COMPILING):
            tell(f"mbbp, empty cache: run {run + 1} of {RUNS_COMPILING}")
            with tempfile.TemporaryDirectory(prefix="mbbp-cold-") as empty:
                starts.append(_run("mbbp", compiling | {"NUMBA_CACHE_DIR": empty}))
        found.append(_least("mbbp", "empty cache", starts))
        tell("mbbp: filling a cache")
        cached = compiling | {"NUMBA_CACHE_DIR": warm}
        _run("mbbp", cached)
        found.append(_least("mbbp", "compiled before", _runs("mbbp", cached, tell)))
    for name in peers:
        if importlib.util.find_spec(name) is None:
            found.append({"engine": name, "refused": "not installed"})
            continue
        try:
            found.append(_least(name, "", _runs(name, environment, tell)))
        except RuntimeError as error:
            found.append({"engine": name, "refused": str(error)})
    return found


def _runs(name: str, environment: dict[str, str], tell: Callable[[str], None]) -> list[list[float]]:
    times = []
    for run in range(RUNS):
        tell(f"{name}: run {run + 1} of {RUNS}")
        times.append(_run(name, environment))
    return times


def _run(name: str, environment: dict[str, str]) -> list[float]:
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", program(name)], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"fails: {(done.stderr.strip() or 'no message').splitlines()[-1][:160]}")
    process = time.perf_counter() - began
    times: list[float] = json.loads(done.stdout.strip().splitlines()[-1])
    return [*times, process]


def _least(name: str, note: str, runs: list[list[float]]) -> dict[str, Any]:
    names = ("import_seconds", "first_training_seconds", "process_seconds")
    least = {key: min(times) for key, times in zip(names, zip(*runs, strict=True), strict=True)}
    return {"engine": name, "note": note, "runs": len(runs), **least}


def as_text(starts: Sequence[dict[str, Any]]) -> str:
    """Return a table to print."""
    lines = [f"{NETWORK}; each in a new process, the fastest of several runs", ""]
    lines.append(f"{'':<34}{'import':>10}{'first training':>17}{'whole process':>16}{'runs':>7}")
    for one in starts:
        if "refused" in one:
            lines.append(f"{one['engine']:<34}  {one['refused']}")
            continue
        name = one["engine"] + (f", {one['note']}" if one["note"] else "")
        imported, trained, whole = (
            duration(one[f"{part}_seconds"] * 1e6) for part in ("import", "first_training", "process")
        )
        lines.append(f"{name:<34}{imported:>10}{trained:>17}{whole:>16}{one['runs']:>7}")
    return "\n".join(lines)

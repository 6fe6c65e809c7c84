"""Compares training on chunks of files with training on arrays in memory, and trains on more data than memory.

    python benchmarks/chunks.py [--quick] [--only-limited] [--json FILE]

All sources take turns, a short training each; the first turn is not counted. The rates are those of `History`: examples
in a second of an epoch, with all waiting for the reader. Training has one thread, and the reader another. The files
were just written or read, so they come from the page cache of the system. The first pass is what `fit` needs before the
first epoch; an array in memory has one, too.

Last, a process with a limit on its memory (RLIMIT_DATA) trains on ten times as many bytes as the limit. It takes turns
with a process that trains the same network on the first tenth of these data as arrays in memory. The share is that of
the median rates.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
# sizes, mini-batch, examples, bytes of memory, examples in a row group
PROBLEMS = [([784, 30, 10], 10, 240_000, 1 << 28, 4096), ([10, 64, 64, 1], 32, 600_000, 1 << 24, 1 << 15)]
MEMORY_OF_LIMITED = 1 << 26
TO_SPARE = 24 << 20  # bytes, for the stack of the reader, and for what is being read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer examples and turns, and ten times less memory")
    parser.add_argument("--json", type=Path, help="write the rates to this file")
    parser.add_argument("--only-limited", action="store_true", help="only the process with a limit on its memory")
    for name in ("--limited", "--in-memory"):
        parser.add_argument(name, nargs=2, metavar=("FOLDER", "EXAMPLES"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    if options.limited:
        train_within_limit(Path(options.limited[0]), int(options.limited[1]))
        return
    if options.in_memory:
        train_in_memory(Path(options.in_memory[0]), int(options.in_memory[1]))
        return
    import mbbp
    from benchmarks.held import describe
    from mbbp.bench import machine

    mbbp.set_threads(1)
    about = machine.describe(1, (), seed=0)
    print(describe(about, "pyarrow"), "for training, one for reading\n")
    rows = []
    print("| network | source | examples/s | of memory | first pass, s |\n|---|---|---|---|---|")
    for sizes, m, n, memory, group in [] if options.only_limited else PROBLEMS:
        with tempfile.TemporaryDirectory() as folder:
            few = 16 if options.quick else 1
            found = rates(sizes, m, n // few, memory // few, group, 3 if options.quick else 4, Path(folder))
        for row in found:
            rows.append({"sizes": sizes, "m": m} | row)
            print(
                f"| {sizes}, m = {m} | {row['source']} | {row['rate']:,.0f} | {row['share']:.2f} | {row['pass']:.2f} |"
            )
    limited = limited_run(quick=options.quick)
    print(f"\n{limited}")
    if options.json:
        record = {"machine": about, "rows": rows, "limited": limited}
        options.json.write_text(json.dumps(record, indent=1), encoding="utf-8")


def rates(sizes: list[int], m: int, n: int, memory: int, group: int, turns: int, folder: Path) -> list[dict[str, Any]]:
    """Return the median rate of each source, and its share of that of arrays in memory."""
    import mbbp

    rng = np.random.default_rng(0)
    X = rng.random((n, sizes[0]), np.float32)
    classes = sizes[-1] > 1
    y = X[:, : sizes[-1]].argmax(1).astype(np.uint8) if classes else X[:, :1] * X[:, 1:2]
    sources: dict[str, Callable[[], tuple[Any, ...]]] = {"memory": lambda: (X.T, y.T)}
    sources |= {name: lambda make=make: (make(),) for name, make in files(folder, X, y, memory, group).items()}
    activation = "sigmoid" if classes else ["tanh", "tanh", "identity"]
    found: dict[str, list[float]] = {name: [] for name in sources}
    passes: dict[str, list[float]] = {name: [] for name in sources}
    for turn in range(turns + 1):
        for name, data in sources.items():
            given = data()
            net = mbbp.Network(sizes, activation, rng=0)
            began = time.perf_counter()
            history = net.fit(*given, epochs=4, batch_size=m, learning_rate=0.01, progress=False)
            seconds = time.perf_counter() - began
            if turn:
                found[name] += history["examples_per_second"]
                passes[name].append(seconds - sum(history["seconds"]))
    base = statistics.median(found["memory"])
    return [
        {
            "source": name,
            "rate": statistics.median(found[name]),
            "share": statistics.median(found[name]) / base,
            "pass": statistics.median(passes[name]),
        }
        for name in sources
    ]


def files(folder: Path, X: Any, y: Any, memory: int, group: int) -> dict[str, Callable[[], Any]]:
    """Write the examples in all formats, and return what opens each."""
    import mbbp

    np.save(folder / "x.npy", X)
    np.save(folder / "y.npy", y)
    np.savez(folder / "d.npz", X=X, y=y)
    found = {
        ".npy": lambda: mbbp.chunks(folder / "x.npy", folder / "y.npy", memory=memory),
        ".npz": lambda: mbbp.chunks(folder / "d.npz", memory=memory),
    }
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        return found
    target = {"y": y.ravel()}
    columns = {f"x{i}": X[:, i] for i in range(X.shape[1])}
    lists = pyarrow.FixedSizeListArray.from_arrays(X.ravel(), X.shape[1])
    settings = {"row_group_size": group, "compression": "none", "use_dictionary": False}
    parquet.write_table(pyarrow.table(columns | target), folder / "columns.parquet", **settings)
    parquet.write_table(pyarrow.table({"x": lists} | target), folder / "lists.parquet", **settings)
    names = "y" if y.ndim == 1 else ["y"]
    return found | {
        f"Parquet, {what}{', with a cache' if cache else ''}": lambda what=what, cache=cache: mbbp.chunks(
            folder / f"{what}.parquet", target=names, memory=memory, cache=cache
        )
        for what in ("columns", "lists")
        for cache in (None, folder)
    }


def status(name: str) -> int:
    """Return a number of bytes that the system knows of this process."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def limited_run(*, quick: bool) -> str:
    """Return the report of a process that trains on ten times the memory that it may have."""
    if sys.platform != "linux":
        return "limited memory: only on Linux"
    width = 784
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, __file__, "--limited", name]
        # the first process says how many bytes the limit is, and needs no data for that
        limit = int(subprocess.run([*command, "0"], capture_output=True, text=True, check=True).stdout)
        n = 10 * (MEMORY_OF_LIMITED if quick else limit) // (4 * width)
        write_much(folder, n, width)
        in_memory = [sys.executable, __file__, "--in-memory", name, str(n // 10)]
        what = "as many bytes as it may hold in pools" if quick else "the limit"
        begin, limited, rates = f"limited memory, ten times {what}: ", list[float](), list[float]()
        for _ in range(1 if quick else 5):
            rates += json.loads(subprocess.run(in_memory, capture_output=True, text=True, check=True).stdout)
            done = subprocess.run([*command, str(n)], capture_output=True, text=True, check=False)
            if not done.stdout:
                return begin + done.stderr
            found = json.loads(done.stdout)
            limited.append(found["rate"])
    share = statistics.median(limited) / statistics.median(rates)
    return f"{begin}{found['text']}; examples/s: {spread(limited)}, in memory {spread(rates)}; share {share:.2f}"


def spread(rates: list[float]) -> str:
    """Return the median of some rates, and from where to where they go."""
    return f"{statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f} in {len(rates)} epochs)"


def write_much(folder: Path, n: int, width: int) -> None:
    """Write examples block by block: they need not fit into memory here either."""
    rng, step = np.random.default_rng(0), 20_000
    X = np.lib.format.open_memmap(folder / "x.npy", "w+", np.float32, (n, width))
    y = np.lib.format.open_memmap(folder / "y.npy", "w+", np.uint8, (n,))
    for first in range(0, n, step):
        k = min(step, n - first)
        y[first : first + k] = rng.integers(0, 10, k)
        X[first : first + k] = rng.random((k, width), np.float32)
        X[np.arange(first, first + k), y[first : first + k]] += 1


def compiled_network() -> Any:
    """Return the network of the limited run, with one thread; it has been trained for a moment, which compiles."""
    import mbbp

    mbbp.set_threads(1)
    net = mbbp.Network([784, 30, 10], cost="cross_entropy", rng=0)
    X = np.zeros((784, 50), np.float32)
    net.fit(X, np.arange(50) % 10, epochs=1)
    return net


def train_in_memory(folder: Path, n: int) -> None:
    """Print the rates of three epochs on the first n examples, in memory."""
    X, y = (np.array(np.load(folder / name, mmap_mode="r")[:n]) for name in ("x.npy", "y.npy"))
    print(json.dumps(compiled_network().fit(X.T, y, epochs=3, progress=False)[1:]["examples_per_second"]))


def train_within_limit(folder: Path, n: int) -> None:
    """Print the limit if n is 0; else set it, and train on n examples."""
    import resource

    import mbbp

    net = compiled_network()
    limit = status("VmData") + MEMORY_OF_LIMITED + TO_SPARE
    if not n:
        print(limit)
        return
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    began = time.perf_counter()
    data = mbbp.chunks(folder / "x.npy", folder / "y.npy", memory=MEMORY_OF_LIMITED)
    row = net.fit(data, epochs=1)[-1]
    seconds, mib = time.perf_counter() - began, 2**20
    text = (
        f"{n * 784 * 4 / mib:,.0f} MiB of data in a process that may use {limit / mib:,.0f} MiB, of which pools have "
        f"{MEMORY_OF_LIMITED / mib:.0f}; an epoch and the first pass took {seconds:.1f} s; "
        f"accuracy {row.training_accuracy:.3f}; "
        f"{status('VmHWM') / mib:,.0f} MiB in memory at the most"
    )
    print(json.dumps({"text": text, "rate": row.examples_per_second}))


if __name__ == "__main__":
    main()

"""Measures the training in several processes on this machine, and says what it would be on more of them.

    python benchmarks/ranks.py [--plot FILE] [--seconds 0.4]

It starts itself under mpiexec with 1 and with 2 ranks. Measured are the time to sum P floats over the ranks, in the way
that mbbp sums them and by MPI's Allreduce, and the rate of trainings in examples per second. The efficiency is the rate
of 2 ranks divided by twice the rate of one process; each process has one thread. All ranks are on this machine, so they
exchange their messages through its memory.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).parent.parent
SIZES = (1_000, 3_162, 10_000, 31_623, 100_000, 316_228, 1_000_000)
NETWORKS = {"[784, 30, 10]": (784, 30, 10), "[10, 64, 64, 1]": (10, 64, 64, 1)}
BATCHES = (16, 64, 256, 1024, 4096)
SCHEMES: dict[str, int | None] = {"each step": None, "every 8 steps": 8, "every 64 steps": 64}
N = 16_384  # examples in all
MACHINES = (1, 16, 1_000)


class Link(NamedTuple):
    """What connects two machines."""

    name: str
    latency: float  # seconds for a message of no length
    bandwidth: float  # bytes per second


NETS = (Link("100 Gbit/s InfiniBand", 2e-6, 12.5e9), Link("10 Gbit/s Ethernet", 30e-6, 1.25e9))


def predicted_seconds(step: float, size: int, machines: int, link: Link, every: int = 1) -> float:
    """Return the time of a step with so many machines: its arithmetic, and its share of a sum of `size` floats.

    The sum is made of a reduce-scatter and an allgather: 2 log2(p) messages one after the other, and each machine sends
    2 (p - 1) / p times the vector.
    """
    bytes_sent = 4.0 * size * 2 * (machines - 1) / machines
    exchange = 2 * math.ceil(math.log2(machines)) * link.latency + bytes_sent / link.bandwidth
    return step + exchange / every


def median_seconds(run: Any, seconds: float) -> float:
    """Return the median time of a call; all ranks make the same number of calls."""
    run()
    began = time.perf_counter()
    run()
    once = time.perf_counter() - began
    from mpi4py import MPI

    calls = MPI.COMM_WORLD.bcast(max(3, min(2000, int(seconds / max(once, 1e-6)))))
    times = []
    for _ in range(calls):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def measure(seconds: float) -> dict[str, Any]:
    """Return the figures of these ranks."""
    from mpi4py import MPI

    import mbbp
    from mbbp.ranks import SharedVector

    comm, found = MPI.COMM_WORLD, {"sum": {}, "allreduce": {}, "rate": {}}
    mbbp.set_threads(1)
    for size in SIZES:
        vector, out = SharedVector(comm, size, np.dtype(np.float32)), np.empty(size, np.float32)

        def add_up(vector: Any = vector) -> None:
            vector.values[0] = 1.0  # else the sums grow to inf
            vector.add_up()
            if vector.values[-1] != 0.0:
                raise ValueError("the sum is wrong")

        found["sum"][size] = median_seconds(add_up, seconds / 4)
        values = np.zeros(size, np.float32)
        found["allreduce"][size] = median_seconds(lambda v=values, o=out: comm.Allreduce(v, o), seconds / 4)
    rng = np.random.default_rng(comm.rank)
    for name, sizes in NETWORKS.items():
        n = N // comm.size
        X, Y = rng.random((sizes[0], n), np.float32), rng.random((sizes[-1], n), np.float32)
        for batch_size in BATCHES:
            for scheme, every in SCHEMES.items():
                if comm.size == 1 and every is not None:
                    continue  # one process averages nothing
                net = mbbp.Network(sizes, activation=["tanh"] * (len(sizes) - 2) + ["identity"], rng=0)
                arguments = {"batch_size": batch_size, "learning_rate": 1e-3, "progress": False}
                net.fit(X, Y, epochs=1, comm=comm, average_every=every, **arguments)
                once = net.history[-1].seconds
                epochs = max(3, min(50, int(seconds / once)))
                net.fit(X, Y, epochs=epochs, comm=comm, average_every=every, **arguments)
                rates = net.history["examples_per_second"][1:]
                found["rate"][f"{name}|{batch_size}|{scheme}"] = float(np.median(rates))
    return found


def launched(ranks: int, seconds: float) -> dict[str, Any]:
    """Measure with so many ranks."""
    command = [Path(sys.executable).parent / "mpiexec", "-n", str(ranks), sys.executable, __file__]
    done = subprocess.run(
        [*map(str, command), "--measure", "--seconds", str(seconds)], capture_output=True, text=True, cwd=ROOT
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def report(one: dict[str, Any], two: dict[str, Any]) -> str:
    """Return the tables in Markdown."""
    lines = ["| P floats | summed as mbbp does, 2 ranks | Allreduce, 2 ranks | 1 rank |", "|---:|---:|---:|---:|"]
    for size in map(str, SIZES):
        times = (two["sum"][size], two["allreduce"][size], one["sum"][size])
        lines.append(f"| {int(size):,} | " + " | ".join(f"{1e6 * value:.1f} us" for value in times) + " |")
    lines += ["", "| network | mini-batch | one process | each step | every 8 steps | every 64 steps |"]
    lines += ["|---|---:|---:|---:|---:|---:|"]
    for name in NETWORKS:
        for batch_size in BATCHES:
            alone = one["rate"][f"{name}|{batch_size}|each step"]
            cells = [f"{efficiency(one, two, name, batch_size, scheme):.0%}" for scheme in SCHEMES]
            step = 1e6 * batch_size / alone
            lines.append(f"| {name} | {batch_size:,} | {step:.0f} us a step | {' | '.join(cells)} |")
    lines += ["", *predictions(one)]
    return "\n".join(lines)


def efficiency(one: dict[str, Any], two: dict[str, Any], name: str, batch_size: int, scheme: str) -> float:
    """Return the rate of two ranks divided by twice the rate of one process."""
    return two["rate"][f"{name}|{batch_size}|{scheme}"] / (2 * one["rate"][f"{name}|{batch_size}|each step"])


def predictions(one: dict[str, Any]) -> list[str]:
    """Return a table of what more machines would do, each with the mini-batch of one process here."""
    head = [
        f"{link.name}, {count:,} machines, {scheme}" for link in NETS for count in MACHINES[1:] for scheme in SCHEMES
    ]
    lines = ["Predicted efficiency, for so many examples of each mini-batch on each machine:", ""]
    lines += [f"| network | examples | {' | '.join(head)} |", "|---|---:|" + "---:|" * len(head)]
    for name, sizes in NETWORKS.items():
        size = sum((a + 1) * b for a, b in itertools.pairwise(sizes))
        for batch_size in BATCHES:
            step = batch_size / one["rate"][f"{name}|{batch_size}|each step"]
            cells = [
                f"{step / predicted_seconds(step, size, count, link, every or 1):.0%}"
                for link in NETS
                for count in MACHINES[1:]
                for every in SCHEMES.values()
            ]
            lines.append(f"| {name} | {batch_size:,} | {' | '.join(cells)} |")
    return lines


def plot(path: Path, one: dict[str, Any], two: dict[str, Any]) -> None:
    """Draw the times of the sums, and the efficiency against the size of the mini-batch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.8), layout="constrained")
    left, *others = figure.subplots(1, 1 + len(NETWORKS))
    for found, key, label in ((two, "sum", "mbbp, 2 ranks"), (two, "allreduce", "Allreduce, 2 ranks")):
        left.loglog(SIZES, [1e6 * found[key][str(size)] for size in SIZES], marker="o", markersize=3, label=label)
    left.set(xlabel="floats", ylabel="microseconds", title="a sum over the ranks")
    for axes, name in zip(others, NETWORKS, strict=True):
        for scheme in SCHEMES:
            values = [efficiency(one, two, name, batch_size, scheme) for batch_size in BATCHES]
            axes.semilogx(BATCHES, values, marker="o", markersize=3, label=scheme)
        axes.set(xlabel="examples in the global mini-batch", ylabel="efficiency of 2 ranks", title=name)
        axes.set_ylim(bottom=0)
        axes.axhline(1.0, color="0.6", linewidth=0.8)
    for axes in (left, *others):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", type=Path, default=ROOT / "benchmarks" / "ranks.png", help="the picture to write")
    parser.add_argument("--seconds", type=float, default=0.4, help="about how long each figure is measured")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    if options.measure:
        found = measure(options.seconds)
        from mpi4py import MPI

        if MPI.COMM_WORLD.rank == 0:
            print(json.dumps(found))
        return
    one, two = (launched(ranks, options.seconds) for ranks in (1, 2))
    plot(options.plot, one, two)
    print(report(one, two))


if __name__ == "__main__":
    main()

"""The regression gate that holds on any machine: this tree against the commit that it stems from.

    python benchmarks/against.py [REV] [--seconds 100] [--quick] [--accept]

Both run on the same core at the same time, so neither the processor nor its mood is in the result. Each tree has a
process and a cache of compiled kernels of its own. They take turns: one trains for some milliseconds, then the other,
again and again, at every shape of the table of ``mbbp bench``. What is compared is the processor time of the fastest
turn: other programs can only make a turn slower. A shape that may have lost is measured again in new processes, because
the place of a process in memory can cost some percent for its whole life; then the fastest turn of all trials counts
for each tree. A loss of 10 % or more makes the exit code 1.

REV is a commit or a tag. By default it is the last commit if files have changed since, else the one before it. Where
there is none, as in a shallow clone, the floors of test_regression.py are the gate instead.

A loss that is wanted is accepted with ``--accept``, or with ``MBBP_ACCEPT_LOSS=1`` in the environment.
"""

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOSS = 1.10  # the ratio of the times, from which a shape has lost
MAY_HAVE_LOST = 1.05  # from this ratio on, a shape is measured again ...
TRIALS = 4  # ... so many times at most, each in new processes
TURN = 0.02  # seconds
SHAPES = [
    ((2, 3, 1), 4),
    ((4, 32, 16, 4), 32),
    ((24, 8, 2), 200),
    ((10, 64, 64, 1), 32),
    ((784, 30, 10), 10),
    ((784, 30, 10), 32),
    ((784, 100, 10), 10),
    ((784, 128, 64, 10), 128),
    ((784, 800, 10), 128),
    ((784, 1024, 1024, 10), 256),
]
QUICK = [SHAPES[0], SHAPES[2], SHAPES[4]]


class Worker:
    """A process that trains with the code of one tree, when it is told to.

    Parameters
    ----------
    tree : Path
        The folder with the package.
    cache : Path
        The folder for compiled kernels.
    slower_by : float
        The part of its steps that it repeats, for the tests of the gate.
    """

    def __init__(self, tree: Path, cache: Path, slower_by: float = 0.0) -> None:
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        environment = {**os.environ, **one_thread, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(tree)}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "worker.py"), str(slower_by)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=tree,
            env=environment,
        )

    def pin(self) -> None:
        """Let the process run on the last of its cores only."""
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self._process.pid, {max(os.sched_getaffinity(0))})

    def ask(self, *question: object) -> None:
        """Give the worker something to do."""
        assert self._process.stdin is not None
        print(json.dumps(question), file=self._process.stdin, flush=True)

    def answer(self) -> float:
        """Wait until it is done, and return the seconds of a step."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("against: a worker has ended; its error is above")
        return float(line)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def compare(workers: Sequence[Worker], shape: tuple[tuple[int, ...], int], seconds: float) -> tuple[float, float]:
    """Return the seconds of a step in each tree, from the fastest of the turns that fit into some seconds."""
    best = [float("inf")] * 2
    end = time.monotonic() + seconds
    turns = 0
    while time.monotonic() < end or turns < 3:
        for index, worker in enumerate(workers):
            worker.ask(*shape, TURN)
            best[index] = min(best[index], worker.answer())
        turns += 1
    return best[0], best[1]


def start(trees: Sequence[Path], caches: Sequence[Path], shapes: Sequence, slower_by: float) -> list[Worker]:
    """Start a worker for each tree, let both compile at the same time, and then share one core."""
    workers = [Worker(trees[0], caches[0]), Worker(trees[1], caches[1], slower_by)]
    for shape in shapes:
        for worker in workers:
            worker.ask(*shape, 0)
        for worker in workers:
            worker.answer()
    for worker in workers:
        worker.pin()
    return workers


def measure(
    trees: Sequence[Path], caches: Sequence[Path], shapes: Sequence, seconds: float, slower_by: float = 0.0
) -> list[dict]:
    """Return for each shape the times of both trees, and whether the second one has lost."""
    rows: dict[int, dict] = {}
    left = list(range(len(shapes)))
    for trial in range(TRIALS):
        workers = start(trees, caches, [shapes[i] for i in left], slower_by)
        for i in left:
            old, new = compare(workers, shapes[i], seconds / len(shapes) * (1 + trial / 2))
            if i in rows:
                old, new = min(old, rows[i]["old"]), min(new, rows[i]["new"])
            rows[i] = {"sizes": shapes[i][0], "m": shapes[i][1], "old": old, "new": new, "ratio": new / old}
        for worker in workers:
            worker.close()
        left = [i for i in left if rows[i]["ratio"] >= MAY_HAVE_LOST]
        if not left:
            break
    return [{**rows[i], "is_lost": rows[i]["ratio"] >= LOSS} for i in range(len(shapes))]


def report(rows: Sequence[dict]) -> str:
    """Return the results as a table."""
    lines = [f"{'network':30} {'old us':>10} {'new us':>10} {'new/old':>8}"]
    for row in rows:
        name = f"{list(row['sizes'])}, m = {row['m']}"
        verdict = "   LOST" if row["is_lost"] else ""
        lines.append(f"{name:30} {row['old'] * 1e6:10.2f} {row['new'] * 1e6:10.2f} {row['ratio']:8.3f}{verdict}")
    return "\n".join(lines)


def git(*arguments: str) -> bytes | None:
    """Return what git prints, or None if it fails or is not there."""
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None


def old_tree(revision: str | None, folder: Path) -> str | None:
    """Put the package as it was into a folder, and return the commit; None if there is no such commit."""
    if revision is None:
        revision = "HEAD" if git("status", "--porcelain", "--untracked-files=no") else "HEAD~1"
    commit = git("rev-parse", "--verify", "--quiet", revision + "^{commit}")
    archive = commit and git("archive", commit.decode().strip(), "mbbp")
    if not commit or not archive:
        return None
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return commit.decode().strip()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revision", nargs="?", metavar="REV")
    parser.add_argument("--seconds", type=float, default=100.0, help="for all shapes together, beside compiling")
    parser.add_argument("--quick", action="store_true", help="three shapes, a fifth of the time")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--accept", action="store_true", help="exit with 0 in spite of a loss")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commit = old_tree(options.revision, folder / "tree")
        if commit is None:
            wanted = options.revision or "the commit before this one"
            print(f"against: {wanted} is not in this repository; the floors of test_regression.py are tested instead")
            command = [sys.executable, "-m", "pytest", "-q", "benchmarks/test_regression.py", "-k", "keeps_its_floor"]
            return subprocess.run(command, cwd=ROOT, check=False).returncode
        print(f"this tree against {commit[:10]}, the fastest of turns of {TURN * 1e3:.0f} ms", flush=True)
        own_cache = Path(os.environ.get("NUMBA_CACHE_DIR", folder / "new"))
        shapes, seconds = (QUICK, options.seconds / 5) if options.quick else (SHAPES, options.seconds)
        rows = measure([folder / "tree", ROOT], [folder / "old", own_cache], shapes, seconds)
    print(report(rows))
    if options.json:
        options.json.write_text(json.dumps({"commit": commit, "shapes": rows}, indent=2), encoding="utf-8")
    if not any(row["is_lost"] for row in rows):
        return 0
    if options.accept or os.environ.get("MBBP_ACCEPT_LOSS"):
        print("the loss is accepted")
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())

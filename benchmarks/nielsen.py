"""Times the programs of M. Nielsen's book against `mbbp.nielsen`, which runs them after a change of the import only.

    python benchmarks/nielsen.py [--data mnist|digits] [--epochs 30] [--rounds 3] [--compare 1]

For the book, the plain algorithm of tests/book.py is timed, which takes the same steps as the book's code. All programs
run in turns in one process, with one thread and pinned to one core. Whole calls of SGD are timed, as a reader makes
them: reading the lists, shuffling, training, and an evaluation after every epoch. A call of the book's program trains
for one epoch, a call of ours for `--epochs`.

Then both train from the same seeds for `--compare` epochs. They take sums in another order, so their parameters differ
in the last digits, and training can make that difference larger. To show how much larger, the book's program is also
run with one weight changed in its last digit.
"""

import argparse
import contextlib
import io
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mbbp.bench import machine

ROOT = Path(__file__).parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data",
        choices=("mnist", "digits"),
        help="the data; by default mnist if its files are there, otherwise digits",
    )
    parser.add_argument("--epochs", type=int, default=30, help="epochs in each of our calls of SGD")
    parser.add_argument("--rounds", type=int, default=3, help="how many times everything is timed")
    parser.add_argument("--compare", type=int, default=1, help="epochs after which the parameters are compared")
    options = parser.parse_args()
    if not machine.is_held(1):
        environment = machine.held_environment(1)
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        raise SystemExit(
            subprocess.run([sys.executable, "-m", "benchmarks.nielsen", *sys.argv[1:]], env=environment).returncode
        )
    cores = machine.pin(1)
    import mbbp

    mbbp.set_threads(1)
    about = machine.describe(1, cores, seed=0)
    where = f"pinned to core {cores[0]}" if cores else "not pinned"
    print(f"{about['processor']}, 1 thread, {where}; Python {about['python']}, numpy {about['versions']['numpy']}\n")
    data = Data.load(options.data)
    for program in programs(data):
        program.report(options.epochs, options.rounds, options.compare)


@dataclass(frozen=True)
class Data:
    """The training and test data, as lists of pairs in the book's form."""

    name: str
    training: list[Any]
    test: list[Any]

    @classmethod
    def load(cls, name: str | None) -> "Data":
        from mbbp import datasets
        from mbbp.datasets.mnist import mnist_bytes
        from mbbp.nielsen import mnist_loader

        if name is None:
            try:
                mnist_bytes(download=False)
                name = "mnist"
            except FileNotFoundError:
                print("MNIST is not there (MBBP_DATA can name its folder): using digits instead\n")
                name = "digits"
        if name == "mnist":
            training, _, test = mnist_loader.load_data_wrapper()
            return cls("MNIST", training, test)
        digits = datasets.load_digits("float32")
        columns = [list(x.T.reshape(-1, 64, 1)) for x in (digits.x_train, digits.x_test)]
        targets = map(mnist_loader.vectorized_result, digits.y_train)
        return cls(
            "digits", list(zip(columns[0], targets, strict=True)), list(zip(columns[1], digits.y_test, strict=True))
        )

    @property
    def n_in(self) -> int:
        return len(self.training[0][0])


Train = Callable[[Any, list[Any], int], Any]


@dataclass(frozen=True)
class Program:
    """One of the book's programs: how the book's code and ours make the network and train it."""

    title: str
    data: Data
    m: int
    book: Callable[[], Any]
    train_book: Train
    ours: Callable[[str], Any]
    train_ours: Train

    def run(self, kind: str, epochs: int, disturb: bool = False) -> tuple[Any, str, float]:
        """Return the trained network, the printed text, and the seconds of an epoch of SGD."""
        import numpy as np

        random.seed(1)
        np.random.seed(1)  # noqa: NPY002 -- the book's generator
        net, train = (self.book(), self.train_book) if kind == "book" else (self.ours(kind), self.train_ours)
        if disturb:
            net.weights[-1][0, 0] = np.nextafter(net.weights[-1][0, 0], np.inf)
        pairs, printed = list(self.data.training), io.StringIO()
        with contextlib.redirect_stdout(printed):
            began = time.perf_counter()
            train(net, pairs, epochs)
            seconds = (time.perf_counter() - began) / epochs
        return net, printed.getvalue(), seconds

    def report(self, epochs: int, rounds: int, compare: int) -> None:
        """Time and compare, and print the results."""
        n, steps = len(self.data.training), -(-len(self.data.training) // self.m)
        print(
            f"{self.title}: {n:,} {self.data.name} images in mini-batches of {self.m}, {len(self.data.test):,} to test"
        )
        kinds = ("book", "float64", "float32")
        for kind in kinds[1:]:
            self.run(kind, 1)  # compiles
        seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
        for _ in range(rounds):
            for kind in kinds:
                seconds[kind].append(self.run(kind, 1 if kind == "book" else epochs)[2])
        print(f"  {'':16}{'ms an epoch':>14}{'µs a mini-batch':>18}{'times as fast':>16}{'at best':>10}")
        for kind in kinds:
            name = "the book" if kind == "book" else f"mbbp, {kind}"
            took = statistics.median(seconds[kind])
            ratios = [book / ours for book, ours in zip(seconds["book"], seconds[kind], strict=True)]
            print(
                f"  {name:16}{took * 1e3:14,.1f}{took / steps * 1e6:18,.1f}"
                f"{statistics.median(ratios):16.1f}{max(ratios):10.1f}"
            )
        self._compare(compare)

    def _compare(self, epochs: int) -> None:
        net, lines, _ = self.run("float64", epochs)
        state = random.getstate()
        book, book_lines, _ = self.run("book", epochs)
        is_same_state = state == random.getstate()
        disturbed, _, _ = self.run("book", epochs, disturb=True)
        agree = "agree" if lines == book_lines else "differ"
        print(f"  after {epochs} epoch{'s' * (epochs > 1)} from the same seeds, float64:")
        print(f"    largest difference of a parameter         {difference(net, book):.1e}")
        print(f"    ... in the book, with one weight changed  {difference(disturbed, book):.1e}")
        ours, books = (" | ".join(self._figures(text)) for text in (lines, book_lines))
        print(f"    printed accuracies {agree}: {ours}; {books}")
        print(f"    state of Python's generator {'the same' if is_same_state else 'differs'}\n")

    @staticmethod
    def _figures(lines: str) -> list[str]:
        return [line.split(": ")[1] for line in lines.splitlines() if " / " in line]


def difference(net: Any, other: Any) -> float:
    """Return the largest difference of any weight or bias."""
    import numpy as np

    pairs = zip(net.weights + net.biases, other.weights + other.biases, strict=True)
    return max(float(np.abs(one - two).max()) for one, two in pairs)


def programs(data: Data) -> list[Program]:
    """Return the programs of chapters 1 and 3."""
    from mbbp.nielsen import network, network2
    from tests.book import Book, Book2

    sizes, m = [data.n_in, 30, 10], 10
    return [
        Program(
            f"network.Network({sizes}), eta = 3.0",
            data,
            m,
            lambda: Book(sizes),
            lambda net, pairs, epochs: net.SGD(pairs, epochs, m, 3.0, test_data=data.test),
            lambda dtype: network.Network(sizes, dtype=dtype),
            lambda net, pairs, epochs: net.SGD(pairs, epochs, m, 3.0, test_data=data.test),
        ),
        Program(
            f"network2.Network({sizes}), cross-entropy, eta = 0.5, lmbda = 5.0",
            data,
            m,
            lambda: Book2(sizes),
            lambda net, pairs, epochs: net.SGD(pairs, epochs, m, 0.5, 5.0, data.test, "evaluation_accuracy"),
            lambda dtype: network2.Network(sizes, dtype=dtype),
            lambda net, pairs, epochs: net.SGD(pairs, epochs, m, 0.5, 5.0, data.test, monitor_evaluation_accuracy=True),
        ),
    ]


if __name__ == "__main__":
    main()

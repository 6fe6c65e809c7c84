"""The command ``mbbp train``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import mbbp
from mbbp import fileformat
from mbbp.cli.options import (
    add_data_options,
    add_network_options,
    fitting_sizes,
    load_data,
    make_network,
    scaling_of,
    with_scaled_targets,
)
from mbbp.cli.ranks import ArgumentsOfFit, Together, arguments_of_fit, run_on_ranks
from mbbp.cli.resume import WITH_RESUME, drop_settings, keep_settings, take_up
from mbbp.cli.text import columns, described, seconds_in_all
from mbbp.datasets import Dataset
from mbbp.fileformat.archive import ENDINGS
from mbbp.files import PICTURES, check_can_be_written, write_text
from mbbp.history import Epoch
from mbbp.parameters import Array
from mbbp.planning import BATCH_SIZE
from mbbp.presets import undo_target_scaling
from mbbp.solvers import OPTIMIZERS, SOLVERS, Solver, get_optimizer
from mbbp.tables import wrapped
from mbbp.validation import as_count, as_number

VALIDATION = 0.1  # the part that early stopping watches, if none is given


def add_train(commands: Any) -> None:
    """Add the subcommand ``train`` to those of ``mbbp``."""
    train = commands.add_parser(
        "train",
        help="train a network and print its test accuracy",
        description="Train a network; with no option, [64, 30, 10] on the embedded 8x8 digits. In a table (.csv, read "
        "by pandas), columns of text become one-hot, with the categories of the training examples; a category that "
        "only test examples have is all 0. For a regression with identity outputs, the targets are scaled to mean 0 "
        "and variance 1 for the training; results and the saved network are in the targets' own units.",
    )
    train.set_defaults(run=run)
    add_data_options(train)
    add_network_options(train, sizes=None, dtype="float32", batch_size=None)
    how = train.add_argument_group("training")
    how.add_argument("--epochs", type=int, default=30, help="how many times to train on all examples")
    how.add_argument(
        "--learning-rate",
        type=float,
        help="eta (3 for sgd with the quadratic cost and sigmoid outputs, otherwise the optimizer's default)",
    )
    how.add_argument("--optimizer", default="sgd", help=f"one of {', '.join([*OPTIMIZERS, *SOLVERS])}")
    how.add_argument("--l2", type=float, default=0.0, help="the L2 regularization parameter, the book's lambda")
    how.add_argument("--dropout", type=float, help="the probability that a step drops a neuron of a hidden layer (0)")
    how.add_argument("--clip-norm", type=float, help="scale gradients with a larger norm down to this norm")
    how.add_argument(
        "--validation",
        type=float,
        metavar="FRACTION",
        help="hold out this fraction of the training examples, to measure the cost after each epoch; the test examples "
        "are then used at the end only",
    )
    how.add_argument(
        "--early-stopping",
        type=int,
        metavar="EPOCHS",
        help="stop after this many epochs without a lower cost of the validation examples (--validation, or else "
        f"{VALIDATION:g})",
    )
    how.add_argument("--threads", type=int, help="number of threads to use (one for each core)")
    how.add_argument(
        "--average-every",
        type=int,
        metavar="STEPS",
        help="in several processes (mpiexec -n 4 mbbp train): average the parameters after so many steps, instead of "
        "adding the gradients in each one",
    )
    results = train.add_argument_group("results")
    results.add_argument("--plot", type=Path, metavar="FILE", help="draw the learning curve (.png, .svg, .pdf)")
    results.add_argument("--json", type=Path, metavar="FILE", help="write the history")
    results.add_argument(
        "--save", type=Path, metavar="FILE", help="write the network (.npz, .mbbp), for mbbp predict and mbbp.load"
    )
    stops = train.add_argument_group("stopping and going on")
    stops.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="write the network and its training while it runs (.mbbp, .npz)"
    )
    stops.add_argument("--every", type=int, default=1, metavar="EPOCHS", help="how often a checkpoint is written")
    stops.add_argument(
        "--resume",
        type=Path,
        metavar="FILE",
        help="go on with the training of a checkpoint, to the same numbers as if it had not stopped. The data and the "
        f"settings are those of the checkpoint; beside it there may be {', '.join(WITH_RESUME[1:])}. Checkpoints are "
        "written to the same file",
    )


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    return run_on_ranks(_run, options)


def _run(options: argparse.Namespace, together: Together | None) -> int:
    resumed = None if options.resume is None else take_up(options)
    if together is None or together.is_first:
        _check_results_can_be_written(options)
    fraction = _validation_fraction(options)
    patience = None if options.early_stopping is None else as_count("--early-stopping", options.early_stopping)
    mbbp.set_threads(None if options.threads is None else as_count("--threads", options.threads))
    given = load_data(options)
    if resumed is not None:
        resumed.check_same(given)
    net = _new_network(options, given) if resumed is None else resumed.net
    data = with_scaled_targets(given, net)
    net.schema = data.schema
    if options.checkpoint is not None:
        keep_settings(net, options, given)
    if options.save is not None:
        fileformat.check(net._contents())
    learning_rate = _learning_rate(options, net)
    tested = None if data.x_test is None or data.y_test is None else (data.x_test, data.y_test)
    watched = "validation" if fraction is not None else "test" if tested is not None else None
    table = _Table(data.classes is not None, watched)
    print(described(data, net))
    print(wrapped(_about_method(options, learning_rate)))
    if fraction is not None:
        when = "" if tested is None else "; the test comes at the end only"
        print(f"validation: {fraction:.3g} of the training examples{when}")
    if data.classes is None:
        print(wrapped(_about_targets(data, net)))
    left = as_count("--epochs", options.epochs) - len(net.history)
    if resumed is not None:
        print(f"{options.resume}: {len(net.history)} epochs are done")
        left = 0 if resumed.has_ended else left
        is_writer = together is None or together.is_first
        if left <= 0 and options.checkpoint != options.resume and is_writer:
            mbbp.save(net, options.checkpoint)
    began = len(net.history) if net.history.has_ended and left > 0 else 0  # early stopping begins afresh
    # a training of several processes may go on in one
    every = options.average_every if together is not None or resumed is None else None
    shared = arguments_of_fit(together, data, tested, every)
    if left > 0:
        print(f"\n{table.heading}", flush=True)
        _fit(options, net, shared, left, learning_rate, fraction, patience, table)
    if together is not None and not together.is_first:
        return 0
    history = net.history
    if options.checkpoint is not None and not history.has_ended:
        print(f"\ninterrupted; mbbp train --resume {options.checkpoint} goes on")
    drop_settings(net)
    if data.target_scaling is not None:
        undo_target_scaling(net, data.target_scaling)
        net.schema = given.schema
    result = _result(net, given)
    seconds = seconds_in_all()
    trained = sum(history["seconds"])
    print(f"\n{len(history)} epochs: {trained:.2f} s of training, {seconds:.2f} s in all, with the imports")
    if patience is not None:
        best = began + int(np.argmin(history["validation_cost"][began:])) + 1
        print(f"the parameters are those of epoch {best}, which had the lowest cost of the validation examples")
    for line in result.lines:
        print(line)
    figures = {"seconds": seconds, "training_seconds": trained, **result.figures}
    _write_results(options, net, data, watched, {"validation_data": watched, **figures})
    return 0


def _new_network(options: argparse.Namespace, data: Dataset) -> mbbp.Network:
    return make_network(
        options,
        fitting_sizes(options.sizes, data),
        regression=data.classes is None,
        scaling=scaling_of(options, data),
        dropout=options.dropout,
    )


def _fit(
    options: argparse.Namespace,
    net: mbbp.Network,
    shared: ArgumentsOfFit,
    epochs: int,
    learning_rate: float | None,
    fraction: float | None,
    patience: int | None,
    table: _Table,
) -> None:
    net.fit(
        *shared.examples,
        epochs=epochs,
        batch_size=options.batch_size,
        learning_rate=learning_rate,
        optimizer=options.optimizer,
        l2=options.l2,
        clip_norm=options.clip_norm,
        early_stopping=patience,
        validation_data=shared.tested if fraction is None else None,
        validation_split=fraction,
        checkpoint=options.checkpoint,
        every=options.every,
        callbacks=lambda _, row: _print_above_bar(table.line(row)),
        **shared.more,
    )


def _check_results_can_be_written(options: argparse.Namespace) -> None:
    """Check before the training, which can take long, that its results can be written."""
    written = [path for name in ("plot", "json", "save", "checkpoint") if (path := getattr(options, name)) is not None]
    if len({path.resolve() for path in written}) < len(written):
        raise ValueError(f"--checkpoint: expected a different file for each result, got {', '.join(map(str, written))}")
    for name, endings in (("plot", PICTURES), ("json", (".json",)), ("save", ENDINGS), ("checkpoint", ENDINGS)):
        path = getattr(options, name)
        if path is not None:
            check_can_be_written(f"--{name}", path, endings)


def _validation_fraction(options: argparse.Namespace) -> float | None:
    if options.validation is not None:
        return as_number("--validation", options.validation, below=1.0, positive=True)
    return None if options.early_stopping is None else VALIDATION


def _about_method(options: argparse.Namespace, learning_rate: float | None) -> str:
    method = get_optimizer(options.optimizer, solvers=True)
    rate = "" if learning_rate is None else f", learning rate {learning_rate:g}"
    takes_all = isinstance(method, Solver) and method.takes_all_examples and options.batch_size is None
    batches = "all examples in each step" if takes_all else f"mini-batches of {options.batch_size or BATCH_SIZE}"
    return f"{options.optimizer}{rate}, {batches}, seed {options.seed}"


def _learning_rate(options: argparse.Namespace, net: mbbp.Network) -> float | None:
    method = get_optimizer(options.optimizer, solvers=True)
    if options.learning_rate is not None:
        return float(options.learning_rate)
    if isinstance(method, Solver) and not method.has_learning_rate:
        return None
    chosen = (options.optimizer, net.cost_function.name, net.layers[-1].activation.name)
    # the book's learning rate, for the book's kind of network
    return 3.0 if chosen == ("sgd", "quadratic", "sigmoid") else method.default_learning_rate


def _about_targets(data: Dataset, net: mbbp.Network) -> str:
    if data.target_scaling is not None:
        return "targets: scaled to mean 0 and variance 1 for the training; the costs below are of scaled targets"
    output = net.layers[-1].activation.name
    return f"targets: not scaled, because the outputs are {output}; identity outputs can learn any numbers"


class _Table:
    """The table of the epochs: the columns that this training fills, in at most 80 columns of the terminal."""

    def __init__(self, is_classification: bool, watched: str | None) -> None:
        # heading, width, name in the history, format
        accuracy = [("accuracy", 10, "training_accuracy", ".2%")] if is_classification else []
        self._fields = [("epoch", 5, "epoch", "d"), ("training cost", 15, "training_cost", ""), *accuracy]
        if watched is not None:
            self._fields.append((f"{watched} cost", 17, "validation_cost", ""))
            self._fields += [(heading, width, "validation_accuracy", form) for heading, width, _, form in accuracy]
        self._fields += [("seconds", 9, "seconds", ".3f"), ("examples/s", 12, "examples_per_second", ",.0f")]
        self._widths = [field[1] for field in self._fields]

    @property
    def heading(self) -> str:
        return columns(self._widths, [field[0] for field in self._fields])

    def line(self, row: Epoch) -> str:
        """Return the line of an epoch."""
        return columns(self._widths, [_figure(getattr(row, name), form) for _, _, name, form in self._fields])


def _figure(value: float | None, form: str) -> str:
    if value is None:
        return "-"
    return format(value, form or (".6f" if abs(value) < 1e5 else ".6g"))


def _print_above_bar(line: str) -> None:
    if sys.stderr.isatty():
        from tqdm import tqdm

        tqdm.write(line)
    else:
        print(line, flush=True)


class _Result(NamedTuple):
    figures: dict[str, Any]  # for JSON
    lines: list[str]  # to print


def _result(net: mbbp.Network, data: Dataset) -> _Result:
    """Measure the trained network on the test examples or, if there are none, on the training examples."""
    if data.x_test is None or data.y_test is None:
        part, x, y = "training", data.x_train, data.y_train
    else:
        part, x, y = "test", data.x_test, data.y_test
    figures: dict[str, Any] = {f"{part}_cost": net.cost(x, y)}
    if data.classes is not None:
        accuracy, n = net.accuracy(x, y), y.shape[-1]
        figures[f"{part}_accuracy"] = accuracy
        return _Result(figures, [f"{part} accuracy {accuracy:.2%} ({round(accuracy * n):,} of {n:,})"])
    r2, error = _fit_of(net.feedforward(x), y)
    figures |= {f"{part}_r2": r2, f"{part}_mean_absolute_error": error}
    shown = ["undefined" if share is None else f"{share:.4f}" for share in r2]
    if len(r2) == 1:
        return _Result(figures, [f"{part} R^2 {shown[0]}, mean absolute error {error[0]:.5g}"])
    names = data.target_names or tuple(map(str, range(len(r2))))
    width = min(max(map(len, names)), 40)
    widths = [width, 12, 22]
    lines = [columns(widths, ["", f"{part} R^2", "mean absolute error"])]
    lines += [columns(widths, [names[k][:width], shown[k], f"{error[k]:.5g}"]) for k in range(len(r2))]
    return _Result(figures, lines)


def _fit_of(outputs: Array, targets: Array) -> tuple[list[float | None], list[float]]:
    """Return for each target R^2, None if all its values are the same, and the mean absolute error."""
    y = targets.astype(np.float64)
    difference = y - outputs
    total = np.square(y - y.mean(axis=1, keepdims=True)).sum(axis=1)
    left = np.square(difference).sum(axis=1)
    r2 = [1.0 - float(a / b) if b > 0 else None for a, b in zip(left, total, strict=True)]
    return r2, np.abs(difference).mean(axis=1).tolist()


def _write_results(
    options: argparse.Namespace, net: mbbp.Network, data: Dataset, watched: str | None, figures: dict[str, Any]
) -> None:
    history = net.history
    writers: dict[str, Callable[[Path], Any]] = {
        "plot": lambda path: history.plot(path, validation=watched or "validation"),
        "json": lambda path: _write_json(path, net, data, figures),
        "save": lambda path: mbbp.save(net, path),
    }
    for name, write in writers.items():
        path = getattr(options, name)
        if path is not None:
            write(path)
            print(f"wrote {path}")


def _write_json(path: Path, net: mbbp.Network, data: Dataset, figures: dict[str, Any]) -> None:
    record: dict[str, Any] = {
        "mbbp": mbbp.__version__,
        "data": data.name,
        "network": {
            "sizes": net.sizes,
            "activation": [layer.activation.name for layer in net.layers],
            "cost": net.cost_function.name,
            "dtype": net.dtype.name,
            "scaling": None if net.scaling is None else str(net.scaling),
        },
        **figures,
        "history": net.history.to_dict(),
    }
    if data.target_scaling is not None:
        # the costs of the history are those of scaled targets, all other figures are in the targets' own units
        mean, factor = data.target_scaling.mean, data.target_scaling.factor
        record["target_scaling"] = {"mean": None if mean is None else mean.tolist(), "factor": factor.tolist()}
    write_text(path, json.dumps(record, indent=1) + "\n")

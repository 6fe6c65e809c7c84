"""The command ``mbbp``: parse, call, print."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

import mbbp
from mbbp.activations import ACTIVATIONS
from mbbp.bench.command import add_bench, parse_sizes
from mbbp.chapter2.saturation import LOW_BELOW, SATURATED_BELOW
from mbbp.costs import COSTS
from mbbp.datasets import Dataset
from mbbp.files import PICTURES, check_can_be_written, write_text
from mbbp.history import Epoch
from mbbp.initializers import INITIALIZERS
from mbbp.optimizers import OPTIMIZERS, get_optimizer
from mbbp.validation import as_count, as_number

FAILURES = (ValueError, TypeError, OSError, ImportError, ArithmeticError)


class _Parser(argparse.ArgumentParser):
    """A parser that prints an error in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 if a check fails, 2 for an error, 130 for Ctrl-C.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after ``mbbp``; by default those of the command line.
    """
    parser = make_parser()
    options = parser.parse_args(arguments)
    options.words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        run: Callable[[argparse.Namespace], int] = options.run
        return run(options)
    except BrokenPipeError:
        # The program that read the output has ended. Without this, the interpreter would report it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except FAILURES as error:
        print(f"mbbp {options.command}: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"mbbp {options.command}: interrupted", file=sys.stderr)
        return 130


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line. Its result has the function of the chosen command in ``run``."""
    parser = _Parser(prog="mbbp", description="Mini-batch backpropagation, fully vectorised and compiled.")
    parser.add_argument("--version", action="version", version=f"mbbp {mbbp.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command", parser_class=_Parser)

    train = commands.add_parser(
        "train",
        help="train a network and print its test accuracy",
        description="Train a network; with no option, [64, 30, 10] on the embedded 8x8 digits.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    train.set_defaults(run=_train)
    _add_data_options(train)
    _add_network_options(train, sizes=None, dtype="float32", batch_size=10)
    how = train.add_argument_group("training")
    how.add_argument("--epochs", type=int, default=30, help="how many times to train on all examples")
    how.add_argument(
        "--learning-rate",
        type=float,
        help="eta (3 for sgd with the quadratic cost and sigmoid outputs, otherwise the optimizer's default)",
    )
    how.add_argument("--optimizer", default="sgd", help=f"one of {', '.join(OPTIMIZERS)}")
    how.add_argument("--l2", type=float, default=0.0, help="the L2 regularization parameter, the book's lambda")
    how.add_argument("--clip-norm", type=float, help="scale gradients with a larger norm down to this norm")
    how.add_argument(
        "--early-stopping", type=int, metavar="EPOCHS", help="stop after this many epochs without a lower test cost"
    )
    how.add_argument("--threads", type=int, help="number of threads to use (one for each core)")
    results = train.add_argument_group("results")
    results.add_argument("--plot", type=Path, metavar="FILE", help="draw the learning curve (.png, .svg, .pdf)")
    results.add_argument("--json", type=Path, metavar="FILE", help="write the history")
    results.add_argument("--save", type=Path, metavar="FILE", help="write the network (.npz), for mbbp.load")

    check = commands.add_parser(
        "check",
        help="check a network's gradient against numeric derivatives",
        description="Compare backpropagation with numeric derivatives, on random numbers. Exits 1 if they differ.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    check.set_defaults(run=_check)
    _add_network_options(check, sizes="5,4,3", dtype="float64", batch_size=10)
    check.add_argument("--method", default="central", help="central or complex")

    diagnose = commands.add_parser(
        "diagnose",
        help="report why a network learns slowly, layer by layer, and what to try",
        description="Print for each layer how many neurons are saturated, how many of its inputs are low, and how "
        "large the gradient is, on training examples. The network is a saved one, or a new one before training.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    diagnose.set_defaults(run=_diagnose)
    _add_data_options(diagnose)
    _add_network_options(diagnose, sizes=None, dtype="float32", batch_size=1000)
    report = diagnose.add_argument_group("diagnosis")
    report.add_argument("--network", type=Path, metavar="FILE", help="a saved network (.npz), instead of a new one")
    report.add_argument(
        "--saturated-below",
        type=float,
        metavar="S",
        default=SATURATED_BELOW,
        help="a neuron is saturated if its sigma'(z) is below S",
    )
    report.add_argument(
        "--low-below", type=float, metavar="A", default=LOW_BELOW, help="an activation is low if its |a| is below A"
    )
    report.add_argument("--plot", type=Path, metavar="FILE", help="draw the diagnosis (.png, .svg, .pdf)")

    add_bench(commands)
    return parser


def _add_data_options(parser: argparse.ArgumentParser) -> None:
    data = parser.add_argument_group("data")
    data.add_argument("--data", default="digits", help="digits, mnist, or the name of a .csv or .npz file")
    data.add_argument("--label", help="for a file: the column or array with the labels (the last column, or y)")
    data.add_argument("--regression", action="store_true", help="for a file: the label is a number to predict")
    data.add_argument(
        "--standardize", action="store_true", help="for a file: scale each input to mean 0 and variance 1"
    )
    data.add_argument(
        "--test-fraction", type=float, default=0.2, help="for a file: the fraction of the examples to test on"
    )


def _add_network_options(parser: argparse.ArgumentParser, sizes: str | None, dtype: str, batch_size: int) -> None:
    network = parser.add_argument_group("network")
    network.add_argument(
        "--sizes", type=parse_sizes, default=sizes, help="number of neurons in each layer (inputs,30,outputs)"
    )
    network.add_argument(
        "--activation", help=f"one for all layers, or one for each layer, from {', '.join(ACTIVATIONS)} (sigmoid)"
    )
    network.add_argument(
        "--cost", help=f"one of {', '.join(COSTS)} (log_likelihood for softmax outputs, otherwise quadratic)"
    )
    network.add_argument("--initializer", default="default", help=f"one of {', '.join(INITIALIZERS)}")
    network.add_argument("--dtype", default=dtype, help="float32 or float64")
    network.add_argument("--batch-size", type=int, default=batch_size, help="examples in a mini-batch")
    network.add_argument("--seed", type=int, default=0, help="seed of all random numbers")


def _network(options: argparse.Namespace, sizes: Sequence[int], output: str = "sigmoid") -> mbbp.Network:
    n_hidden = max(len(sizes) - 2, 0)
    names = options.activation.split(",") if options.activation else ["sigmoid"] * n_hidden + [output]
    if len(names) == 1:
        names *= n_hidden + 1
    cost = options.cost or ("log_likelihood" if names[-1] == "softmax" else "quadratic")
    return mbbp.Network(
        sizes, activation=names, cost=cost, dtype=options.dtype, initializer=options.initializer, rng=options.seed
    )


def _train(options: argparse.Namespace) -> int:
    _check_results_can_be_written(options)
    mbbp.set_threads(options.threads)
    data = _load(options)
    net = _network(options, _fitting_sizes(options.sizes, data), "identity" if data.classes is None else "sigmoid")
    learning_rate = _learning_rate(options, net)
    print(f"{data}\n{net}")
    print(
        f"{options.optimizer}, learning rate {learning_rate:g}, mini-batches of {options.batch_size}, "
        f"seed {options.seed}\n\n{_HEADING}",
        flush=True,
    )
    started = time.perf_counter()
    history = net.fit(
        data.x_train,
        data.y_train,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=learning_rate,
        optimizer=options.optimizer,
        l2=options.l2,
        clip_norm=options.clip_norm,
        early_stopping=options.early_stopping,
        validation_data=None if data.x_test is None or data.y_test is None else (data.x_test, data.y_test),
        callbacks=lambda _, row: _print_above_bar(_line(row)),
    )
    seconds = time.perf_counter() - started
    result = _result(net, data)
    trained = sum(history["seconds"])
    print(f"\n{len(history)} epochs: {trained:.2f} s of training, {seconds:.2f} s in all{_sentence(result, data)}")
    writers: dict[str, Callable[[Path], Any]] = {
        "plot": history.plot,
        "json": lambda path: _write_json(path, net, data, {"seconds": seconds, **result}),
        "save": lambda path: mbbp.save(net, path),
    }
    for name, write in writers.items():
        path = getattr(options, name)
        if path is not None:
            write(path)
            print(f"wrote {path}")
    return 0


def _check_results_can_be_written(options: argparse.Namespace) -> None:
    """Check before the training, which can take long, that its results can be written."""
    for name, endings in (("plot", PICTURES), ("json", (".json",)), ("save", (".npz",))):
        path = getattr(options, name)
        if path is not None:
            check_can_be_written(f"--{name}", path, endings)


def _load(options: argparse.Namespace) -> Dataset:
    arguments: dict[str, Any] = {"dtype": options.dtype}
    if options.data.endswith((".csv", ".npz")):
        for name in ("regression", "standardize", "test_fraction"):
            arguments[name] = getattr(options, name)
        arguments["rng"] = options.seed
        if options.label is not None:
            is_index = options.data.endswith(".csv") and options.label.lstrip("-").isdigit()
            arguments["label"] = int(options.label) if is_index else options.label
    return mbbp.datasets.load(options.data, **arguments)


def _fitting_sizes(sizes: Sequence[int] | None, data: Dataset, argument: str = "--sizes") -> Sequence[int]:
    outputs = {data.n_outputs} | ({1} if data.classes is not None and data.n_outputs == 2 else set())
    if sizes is None:
        return [data.n_inputs, 30, data.n_outputs]
    if len(sizes) > 1 and (sizes[0] != data.n_inputs or sizes[-1] not in outputs):
        expected = f"{data.n_inputs} inputs and {' or '.join(map(str, sorted(outputs)))} outputs for {data.name}"
        raise ValueError(f"{argument}: expected {expected}, got {','.join(map(str, sizes))}")
    return sizes


def _learning_rate(options: argparse.Namespace, net: mbbp.Network) -> float:
    if options.learning_rate is not None:
        return float(options.learning_rate)
    chosen = (options.optimizer, net.cost_function.name, net.layers[-1].activation.name)
    # the book's learning rate, for the book's kind of network
    return 3.0 if chosen == ("sgd", "quadratic", "sigmoid") else get_optimizer(options.optimizer).default_learning_rate


_HEADING = (
    "epoch   training cost  accuracy       test cost  accuracy   learning rate  gradient norm   seconds  examples/s"
)


def _line(row: Epoch) -> str:
    def figure(value: float | None, form: str, width: int) -> str:
        return f"{'-' if value is None else format(value, form):>{width}}"

    return (
        f"{row.epoch:>5}"
        + figure(row.training_cost, ".6f", 16)
        + figure(row.training_accuracy, ".2%", 10)
        + figure(row.validation_cost, ".6f", 16)
        + figure(row.validation_accuracy, ".2%", 10)
        + figure(row.learning_rate, ".5g", 16)
        + figure(row.gradient_norm, ".3g", 15)
        + figure(row.seconds, ".3f", 10)
        + figure(row.examples_per_second, ",.0f", 12)
    )


def _print_above_bar(line: str) -> None:
    if sys.stderr.isatty():
        from tqdm import tqdm

        tqdm.write(line)
    else:
        print(line, flush=True)


def _result(net: mbbp.Network, data: Dataset) -> dict[str, float]:
    if data.x_test is None or data.y_test is None:
        return {}
    result = {"test_cost": net.cost(data.x_test, data.y_test)}
    if data.classes is not None:
        result["test_accuracy"] = net.accuracy(data.x_test, data.y_test)
    return result


def _sentence(result: dict[str, float], data: Dataset) -> str:
    if "test_accuracy" in result and data.y_test is not None:
        n = data.y_test.shape[-1]
        return f"; test accuracy {result['test_accuracy']:.2%} ({round(result['test_accuracy'] * n):,} of {n:,})"
    return f"; test cost {result['test_cost']:.6g}" if result else ""


def _write_json(path: Path, net: mbbp.Network, data: Dataset, result: dict[str, float]) -> None:
    record = {
        "mbbp": mbbp.__version__,
        "data": data.name,
        "network": {
            "sizes": net.sizes,
            "activation": [layer.activation.name for layer in net.layers],
            "cost": net.cost_function.name,
            "dtype": net.dtype.name,
        },
        **result,
        "history": net.history.to_dict(),
    }
    write_text(path, json.dumps(record, indent=1) + "\n")


def _check(options: argparse.Namespace) -> int:
    net = _network(options, options.sizes)
    rng = np.random.default_rng(options.seed)
    m = as_count("--batch-size", options.batch_size)
    X = rng.standard_normal((net.sizes[0], m))
    labels = rng.integers(0, max(net.sizes[-1], 2), m)
    print(f"{net}\n{m} random examples, seed {options.seed}\n")
    result = mbbp.check_gradients(net, X, labels, method=options.method)
    print(result)
    return 0 if result.passed else 1


def _diagnose(options: argparse.Namespace) -> int:
    if options.plot is not None:
        check_can_be_written("--plot", options.plot, PICTURES)
    m = as_count("--batch-size", options.batch_size)
    as_count("--seed", options.seed, least=0)
    for name in ("saturated-below", "low-below"):
        as_number(f"--{name}", getattr(options, name.replace("-", "_")), positive=True)
    net = None if options.network is None else _saved_network(options)
    data = _load(options)
    sizes = _fitting_sizes(options.sizes, data) if net is None else _fitting_sizes(net.sizes, data, "--network")
    net = net or _network(options, sizes, "identity" if data.classes is None else "sigmoid")
    n = data.x_train.shape[1]
    chosen = np.sort(np.random.default_rng(options.seed).permutation(n)[:m])
    print(f"{data}\n{net}\n")
    diagnosis = mbbp.diagnose(
        net,
        data.x_train[:, chosen],
        data.y_train[..., chosen],
        saturated_below=options.saturated_below,
        low_below=options.low_below,
    )
    print(diagnosis)
    if options.plot is not None:
        diagnosis.plot(options.plot)
        print(f"wrote {options.plot}")
    return 0


def _saved_network(options: argparse.Namespace) -> mbbp.Network:
    """Return the network of --network, and have the data read in its dtype."""
    for name, unless in (("sizes", None), ("activation", None), ("cost", None), ("initializer", "default")):
        given = getattr(options, name)
        if given != unless:
            word = ",".join(map(str, given)) if name == "sizes" else given
            raise ValueError(f"--{name}: expected no value with --network, got {word}; the saved network has its own")
    net = mbbp.load(options.network)
    options.dtype = net.dtype.name
    return net

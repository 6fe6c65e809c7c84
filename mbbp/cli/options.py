"""The options that several commands have, and what they stand for: a data set and a network."""

import argparse
import csv
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NoReturn

import mbbp
from mbbp.activations import ACTIVATIONS
from mbbp.bench.command import parse_sizes
from mbbp.costs import COSTS, get_cost
from mbbp.datasets import Dataset
from mbbp.datasets.prepare import PIXELS
from mbbp.initializers import INITIALIZERS
from mbbp.presets import check_targets_fit
from mbbp.scaling import STANDARDIZE, AnyScaling, Scaling
from mbbp.validation import as_number

OF_FILES = {
    ".csv": ("target", "drop", "categorical", "missing", "regression", "test_fraction", "delimiter", "header"),
    ".npz": ("target", "regression", "test_fraction"),
}
"""The options that each kind of file has."""


class Parser(argparse.ArgumentParser):
    """A parser that prints an error in one line."""

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with 2."""
        self.exit(2, f"{self.prog}: error: {message}\n")


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which data set, and how it is read."""
    data = parser.add_argument_group("data")
    data.add_argument("--data", default="digits", help="digits, mnist, or the name of a .csv or .npz file")
    data.add_argument(
        "--target",
        type=_names,
        metavar="NAMES",
        help="for a file: the column or the array to predict (the last column, or y); for a regression of a table also "
        "several columns, as in a,b. In a table without a header the columns are 0, 1, 2 and so on",
    )
    data.add_argument(
        "--regression", action="store_const", const=True, help="for a file: the target is a number, not a class"
    )
    data.add_argument(
        "--test-fraction", type=float, help="for a file: the fraction of the examples to test on (default: 0.2)"
    )
    data.add_argument("--drop", type=_names, metavar="NAMES", help="for a table: the columns to leave out")
    data.add_argument(
        "--categorical",
        type=_names,
        metavar="NAMES",
        help="for a table: the columns of numbers that are categories. They become one-hot, as columns of text do",
    )
    data.add_argument(
        "--missing",
        help="for a table: what to do with missing values: refuse, drop (the rows), mean or median (default: refuse)",
    )
    data.add_argument("--delimiter", metavar="C", help="for a table: the character between fields (default: a comma)")
    data.add_argument(
        "--header",
        action=argparse.BooleanOptionalAction,
        help="for a table: whether its first line holds the names of the columns (found out if not given)",
    )
    data.add_argument(
        "--scaling",
        type=_scaling,
        help="how the network scales its inputs: none, a factor such as 1/255, or standardize, to mean 0 and variance "
        "1 by feature (as is usual for the data set; standardize for a file)",
    )
    data.add_argument(
        "--standardize",
        action="store_const",
        const=STANDARDIZE,
        dest="scaling",
        help="the same as --scaling standardize",
    )


def add_network_options(parser: argparse.ArgumentParser, sizes: str | None, dtype: str, batch_size: int | None) -> None:
    """Add the options that say which network, with their defaults."""
    network = parser.add_argument_group("network")
    network.add_argument(
        "--sizes", type=parse_sizes, default=sizes, help="number of neurons in each layer (inputs,30,outputs)"
    )
    network.add_argument(
        "--activation",
        help=f"one for each layer, or one for all, from {', '.join(ACTIVATIONS)} (sigmoid; for a regression, the "
        "outputs are identity, or exp for poisson). A single relu, leaky_relu, gelu, silu or elu is for the hidden "
        "layers, and needs --cost",
    )
    network.add_argument(
        "--cost", help=f"one of {', '.join(COSTS)} (log_likelihood for softmax outputs, otherwise quadratic)"
    )
    network.add_argument("--initializer", default="default", help=f"one of {', '.join(INITIALIZERS)}")
    network.add_argument("--dtype", default=dtype, help="float32 or float64")
    of_optimizer = "" if batch_size is not None else " (10; all of them for levenberg_marquardt and lbfgs)"
    network.add_argument("--batch-size", type=int, default=batch_size, help=f"examples in a mini-batch{of_optimizer}")
    network.add_argument("--seed", type=int, default=0, help="seed of all random numbers")


def _names(text: str) -> list[str]:
    """Return the names in a word of the command line. One with a comma is quoted: '"a,b",c'."""
    names = [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [])]
    if not all(names) or not names:
        raise argparse.ArgumentTypeError(f"expected names separated by commas, as in a,b, got {text!r}")
    return names


def _scaling(text: str) -> str | float:
    if text in ("none", STANDARDIZE):
        return text
    try:
        return float(Fraction(text.replace(" ", "")))
    except (ValueError, ZeroDivisionError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"expected none, {STANDARDIZE}, or a number such as 1/255 or 0.00392, got {text!r}"
        ) from None


def load_data(options: argparse.Namespace, *, scaled_images: bool = False) -> Dataset:
    """Load the data set that the options name. Images are pixels as they are, or from 0 to 1.

    Raises
    ------
    ValueError
        If an option is given that this kind of data set does not have.
    """
    ending = next((ending for ending in OF_FILES if options.data.lower().endswith(ending)), "")
    # The network converts inputs when it has scaled them. float32 would lose small differences of large numbers before.
    dtype = "float64" if ending else options.dtype if scaled_images else PIXELS
    arguments: dict[str, Any] = {"dtype": dtype} | ({"rng": options.seed} if ending else {})
    for name in OF_FILES[".csv"]:
        value = getattr(options, name)
        if value is None:
            continue
        if name not in OF_FILES.get(ending, ()):
            files = " and ".join(ending for ending, names in OF_FILES.items() if name in names)
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"{option}: expected only with a file of {files}, got it with --data {options.data}")
        arguments[name] = value
    if ending == ".npz" and "target" in arguments:
        if len(arguments["target"]) > 1:
            raise ValueError(f"--target: expected the name of one array, got {','.join(arguments['target'])}")
        (arguments["target"],) = arguments["target"]
    return mbbp.datasets.load(options.data, **arguments)


def fitting_sizes(sizes: Sequence[int] | None, data: Dataset, argument: str = "--sizes") -> list[int]:
    """Return the sizes of the layers: those given, if they fit the data, or the usual ones.

    Raises
    ------
    ValueError
        If the first or the last layer does not fit the data.
    """
    outputs = {data.n_outputs} | ({1} if data.classes is not None and data.n_outputs == 2 else set())
    if sizes is None:
        return [data.n_inputs, 30, data.n_outputs]
    if len(sizes) > 1 and (sizes[0] != data.n_inputs or sizes[-1] not in outputs):
        expected = f"{data.n_inputs} inputs and {' or '.join(map(str, sorted(outputs)))} outputs for {data.name}"
        raise ValueError(f"{argument}: expected {expected}, got {','.join(map(str, sizes))}")
    return list(sizes)


def make_network(
    options: argparse.Namespace,
    sizes: Sequence[int],
    *,
    regression: bool = False,
    scaling: AnyScaling | Scaling = None,
    dropout: float | None = None,
) -> mbbp.Network:
    """Return a new network. What is not given is left to `Network`, but a regression has the outputs of its cost."""
    arguments: dict[str, Any] = {}
    if options.activation is not None:
        names = options.activation.split(",")
        arguments["activation"] = names[0] if len(names) == 1 else names
    elif regression:
        output = None if options.cost is None else get_cost(options.cost).usual_activation
        arguments["activation"] = ["sigmoid"] * max(len(sizes) - 2, 0) + [output or "identity"]
    if options.cost is not None:
        arguments["cost"] = options.cost
    if dropout is not None:
        arguments["dropout"] = as_number("--dropout", dropout, below=1.0)
    return mbbp.Network(
        sizes, dtype=options.dtype, initializer=options.initializer, rng=options.seed, scaling=scaling, **arguments
    )


def scaling_of(options: argparse.Namespace, data: Dataset) -> AnyScaling:
    """Return the scaling that the options name, or that of the data set."""
    if options.scaling is None:
        return data.scaling
    chosen: AnyScaling = None if options.scaling == "none" else options.scaling
    return chosen


def with_scaled_targets(data: Dataset, net: mbbp.Network) -> Dataset:
    """Return the data with standardized targets, if the network can learn them: for identity outputs."""
    if data.classes is not None or net.layers[-1].activation.name != "identity":
        return data
    scaled = data.standardize_targets()
    assert scaled.target_scaling is not None
    check_targets_fit("--target", data.y_train, scaled.target_scaling, net.dtype)
    return scaled

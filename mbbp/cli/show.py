"""The command ``mbbp show``."""

import argparse
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import mbbp
from mbbp.cli.resume import ENTRY
from mbbp.fileformat.archive import ENDINGS
from mbbp.tables import text_table, wrapped

MOST_LETTERS = 300  # of a text in the metadata


def add_show(commands: Any) -> None:
    """Add the subcommand ``show`` to those of ``mbbp``."""
    show = commands.add_parser(
        "show",
        help="print what a saved network is: layers, inputs, classes, training",
        description="Print the layers of a saved network, what its inputs and outputs stand for, and how far its "
        "training is.",
    )
    show.set_defaults(run=run)
    show.add_argument("model", type=Path, help=f"a saved network ({', '.join(ENDINGS)})")


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    net = mbbp.load(options.model)
    print(
        wrapped(
            f"{options.model}: {options.model.stat().st_size:,} bytes, {net.theta.size:,} parameters in {net.dtype}"
        )
    )
    print("\n" + "\n".join(_layers(net)) + "\n")
    for fact in _facts(net):
        print(wrapped(_printable(fact), "", "  "))
    return 0


def _printable(text: str) -> str:
    """Return a text without what a terminal would obey, such as an escape sequence in a file that is not trusted."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _layers(net: mbbp.Network) -> list[str]:
    rows = [["1", "input", f"{net.sizes[0]:,}", ""]]
    for number, ((n_in, n_out), layer) in enumerate(zip(pairwise(net.sizes), net.layers, strict=True), 2):
        rows.append([str(number), layer.activation.name, f"{n_out:,}", f"{n_out * (n_in + 1):,}"])
    return text_table(["layer", "activation", "neurons", "parameters"], rows)


def _facts(net: mbbp.Network) -> Iterator[str]:
    yield f"cost: {net.cost_function}"
    yield f"inputs are scaled: {'no' if net.scaling is None else net.scaling}"
    if net.dropout is not None:
        yield f"dropout: {', '.join(f'{rate:g}' for rate in net.dropout)}"
    schema = net.schema or mbbp.Schema()
    for column in schema.columns or ():
        categories = f", one of {', '.join(column.categories)}" if column.categories else ""
        filled = "" if column.fill is None else f"; a missing value becomes {column.fill}"
        yield f"input {column.name}: {'category' if column.categories else 'number'}{categories}{filled}"
    if schema.targets:
        yield f"predicts: {', '.join(schema.targets)}"
    if schema.classes:
        yield f"classes: {', '.join(schema.classes)}"
    if schema.target_scaling is not None:
        yield f"outputs are scaled targets: {schema.target_scaling}"
    state = net.optimizer_state
    if len(net.history):
        end = ", interrupted" if net.history.was_interrupted else ""
        yield f"training: {repr(net.history).removeprefix('History(').removesuffix(')')}{end}"
    if state is not None:
        yield f"optimizer: {state.optimizer}, {int(state.steps[0]):,} steps"
    for name, text in net.metadata.items():
        if name == ENTRY:
            yield "mbbp train --resume can go on with it"
            continue
        yield f"{name}: {text if len(text) <= MOST_LETTERS else text[:MOST_LETTERS] + ' ...'}"

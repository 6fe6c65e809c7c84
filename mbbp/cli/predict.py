"""The command ``mbbp predict``."""

import argparse
import sys
from pathlib import Path
from typing import Any

import mbbp
from mbbp.fileformat.archive import ENDINGS
from mbbp.files import check_can_be_written, write_text
from mbbp.npz import open_npz


def add_predict(commands: Any) -> None:
    """Add the subcommand ``predict`` to those of ``mbbp``."""
    predict = commands.add_parser(
        "predict",
        help="predict classes or numbers for the rows of a table, with a saved network",
        description="Print the predictions for the rows of a table as CSV: the class and the probability of each "
        "class, or numbers in their own units. The columns of the table are found by name, in any order; others are "
        "left out. A network that was trained without names takes the columns as they stand.",
    )
    predict.set_defaults(run=run)
    predict.add_argument("model", type=Path, help=f"a saved network ({', '.join(ENDINGS)})")
    predict.add_argument("table", type=Path, help="a .csv file, or an .npz file with an array X (samples, features)")
    predict.add_argument("--out", type=Path, metavar="FILE", help="write to this .csv file instead of printing")
    predict.add_argument("--delimiter", default=",", metavar="C", help="the character between fields (a comma)")
    predict.add_argument(
        "--header",
        action=argparse.BooleanOptionalAction,
        help="whether the first line holds the names of the columns (found out if not given)",
    )


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if options.out is not None:
        check_can_be_written("--out", options.out, (".csv",))
    net = mbbp.load(options.model)
    table: Any = options.table
    if options.table.suffix.lower() == ".npz":
        with open_npz(options.table) as file:
            X = file.read("X")
        if X.ndim < 2 or not X.size:
            raise ValueError(f"{options.table}, 'X': expected a shape (samples, features), got {X.shape}")
        table = X.reshape(len(X), -1).T
    predictions = mbbp.predict(net, table, delimiter=options.delimiter, header=options.header)
    if options.out is None:
        sys.stdout.write(predictions.to_csv())
        return 0
    write_text(options.out, predictions.to_csv())
    print(f"wrote {options.out}: {len(predictions):,} rows")
    return 0

"""The command ``mbbp export``."""

import argparse
from pathlib import Path
from typing import Any

import mbbp
from mbbp.cli.resume import drop_settings
from mbbp.exchange.c.model import WEIGHTS
from mbbp.exchange.c.text import as_c_name
from mbbp.fileformat.archive import ENDINGS
from mbbp.files import check_can_be_written
from mbbp.predictions import inputs_of

FORMATS = {"onnx": ".onnx", "c": ".h", "safetensors": ".safetensors", "json": ".json"}
"""The formats, and how the names of their files end."""


def add_export(commands: Any) -> None:
    """Add the subcommand ``export`` to those of ``mbbp``."""
    export = commands.add_parser(
        "export",
        help="write a saved network for another program: ONNX, C, safetensors, or the book's JSON",
        description="Write a saved network for another program. The scaling of the inputs is inside, and numbers are "
        "predicted in their own units. ONNX and safetensors need the packages of these names.",
    )
    export.set_defaults(run=run)
    export.add_argument("model", type=Path, help=f"a saved network ({', '.join(ENDINGS)})")
    export.add_argument("--out", type=Path, metavar="FILE", required=True, help="the file to write")
    export.add_argument(
        "--format", help=f"{', '.join(FORMATS)}; by default as the file ends: {', '.join(FORMATS.values())}"
    )
    export.add_argument("--name", help="for C: what all names in the header begin with (the name of the file)")
    export.add_argument("--weights", help=f"for C: {', '.join(WEIGHTS)} (as the network computes)")
    export.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        help="for C: a table (.csv); the header then tells how much its outputs differ from the network's",
    )


def _name(options: argparse.Namespace) -> str:
    """Return the name for C: the given one, or that of the file, if it is a name in C."""
    name: str = options.out.stem if options.name is None else options.name
    try:
        return as_c_name("--name", name)
    except ValueError as error:
        hint = "" if options.name is not None else f"; it is taken from --out {options.out}, give another as --name"
        raise ValueError(f"{error}{hint}") from None


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    kind = options.format or next((name for name, end in FORMATS.items() if options.out.suffix == end), None)
    if kind not in FORMATS:
        given = f"--out {options.out}" if options.format is None else f"--format {options.format}"
        raise ValueError(f"--format: expected one of {', '.join(FORMATS)}, got {given}")
    for name in ("name", "weights", "data"):
        if kind != "c" and getattr(options, name) is not None:
            raise ValueError(f"--{name}: expected only with --format c, got it with --format {kind}")
    check_can_be_written("--out", options.out, (FORMATS[kind],))
    net = mbbp.load(options.model)
    drop_settings(net)
    writers: dict[str, Any] = {"onnx": mbbp.to_onnx, "safetensors": mbbp.to_safetensors, "json": mbbp.to_json}
    if kind == "c":
        X = None if options.data is None else inputs_of(net, options.data)
        if options.weights not in (None, *WEIGHTS):
            raise ValueError(f"--weights: expected one of {', '.join(WEIGHTS)}, got {options.weights}")
        mbbp.to_c(net, options.out, name=_name(options), weights=options.weights, X=X)
    else:
        writers[kind](net, options.out)
    print(f"wrote {options.out}: {options.out.stat().st_size:,} bytes")
    return 0

"""The command ``mbbp check``."""

import argparse
from typing import Any

import numpy as np

import mbbp
from mbbp.cli.options import add_network_options, make_network
from mbbp.tables import wrapped
from mbbp.validation import as_count


def add_check(commands: Any) -> None:
    """Add the subcommand ``check`` to those of ``mbbp``."""
    check = commands.add_parser(
        "check",
        help="check a network's gradient against numeric derivatives",
        description="Compare backpropagation with numeric derivatives, on random numbers. Exits 1 if they differ.",
    )
    check.set_defaults(run=run)
    add_network_options(check, sizes="5,4,3", dtype="float64", batch_size=10)
    check.add_argument("--method", default="central", help="central or complex")
    check.add_argument(
        "--derivatives",
        action="store_true",
        help="also compare Jacobians, products with Hessians and others",
    )


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code: 1 if the gradient is wrong."""
    net = make_network(options, options.sizes)
    rng = np.random.default_rng(options.seed)
    m = as_count("--batch-size", options.batch_size)
    X = rng.standard_normal((net.sizes[0], m))
    labels = rng.integers(0, max(net.sizes[-1], 2), m)
    print(f"{wrapped(str(net))}\n{m} random examples, seed {options.seed}\n")
    result = mbbp.check_gradients(net, X, labels, method=options.method, derivatives=options.derivatives)
    print(result)
    return 0 if result.passed else 1

"""The command ``mbbp diagnose``."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import mbbp
from mbbp.chapter2.saturation import LOW_BELOW, SATURATED_BELOW
from mbbp.cli.options import (
    add_data_options,
    add_network_options,
    fitting_sizes,
    load_data,
    make_network,
    scaling_of,
    with_scaled_targets,
)
from mbbp.cli.text import described
from mbbp.files import PICTURES, check_can_be_written
from mbbp.scaling import STANDARDIZE, Scaling
from mbbp.validation import as_count, as_number


def add_diagnose(commands: Any) -> None:
    """Add the subcommand ``diagnose`` to those of ``mbbp``."""
    diagnose = commands.add_parser(
        "diagnose",
        help="report why a network learns slowly, layer by layer, and what to try",
        description="Print for each layer how many neurons are saturated, how many of its inputs are low, and how "
        "large the gradient is, on training examples. The network is a saved one, or a new one before training.",
    )
    diagnose.set_defaults(run=run)
    add_data_options(diagnose)
    add_network_options(diagnose, sizes=None, dtype="float32", batch_size=1000)
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


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if options.plot is not None:
        check_can_be_written("--plot", options.plot, PICTURES)
    m = as_count("--batch-size", options.batch_size)
    as_count("--seed", options.seed, least=0)
    for name in ("saturated-below", "low-below"):
        as_number(f"--{name}", getattr(options, name.replace("-", "_")), positive=True)
    net = None if options.network is None else _saved_network(options)
    # a saved network without a scaling was trained on scaled images
    data = load_data(options, as_pixels=net is None or net.scaling is not None)
    if net is None:
        scaling = scaling_of(options, data)
        net = make_network(
            options,
            fitting_sizes(options.sizes, data),
            regression=data.classes is None,
            scaling=Scaling.learn(data.x_train) if scaling == STANDARDIZE else scaling,
        )
        data = with_scaled_targets(data, net)
    else:
        fitting_sizes(net.sizes, data, "--network")
    n = data.x_train.shape[1]
    chosen = np.sort(np.random.default_rng(options.seed).permutation(n)[:m])
    print(f"{described(data, net)}\n")
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
    own = (("sizes", None), ("activation", None), ("cost", None), ("initializer", "default"), ("scaling", None))
    for name, unless in own:
        given = getattr(options, name)
        if given != unless:
            word = ",".join(map(str, given)) if name == "sizes" else given
            raise ValueError(f"--{name}: expected no value with --network, got {word}; the saved network has its own")
    net = mbbp.load(options.network)
    options.dtype = net.dtype.name
    return net

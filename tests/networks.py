"""Small networks of every kind, with examples, for the tests of chapter 2."""

import numpy as np
from hypothesis import strategies as st

import mbbp
from tests.conftest import JIT

HIDDEN = ["sigmoid", "tanh", "relu", "leaky_relu", "identity"]
OUTPUTS = [
    *((output, "quadratic") for output in [*HIDDEN, "softmax"]),
    ("sigmoid", "cross_entropy"),
    ("softmax", "log_likelihood"),
]
ELEMENTWISE = [pair for pair in OUTPUTS if pair[0] != "softmax"]
seeds = st.integers(0, 2**32 - 1)
examples_to_try = 40 if JIT else 15


def lively(rng, n_in, n_out):
    """Draw parameters for which few relus are dead and no gradient vanishes."""
    return 1.5 * rng.standard_normal((n_out, n_in)) / np.sqrt(n_in), 0.5 + abs(rng.standard_normal((n_out, 1)))


@st.composite
def problems(draw, outputs=OUTPUTS, most_examples=6, layers=(2, 5), widest=6):
    """Draw a float64 network, with inputs, and with targets that are probabilities."""
    sizes = draw(st.lists(st.integers(1, widest), min_size=layers[0], max_size=layers[1]))
    output, cost = draw(st.sampled_from(outputs))
    activation = [draw(st.sampled_from(HIDDEN)) for _ in sizes[2:]] + [output]
    seed = draw(seeds)
    net = mbbp.Network(sizes, activation, cost, "float64", lively, rng=seed)
    m = draw(st.integers(1, most_examples))
    rng = np.random.default_rng(seed + 1)
    return net, rng.standard_normal((sizes[0], m)), rng.dirichlet(np.ones(sizes[-1]), m).T


def fixed(sizes=(3, 4, 5, 2), activation="tanh", cost="quadratic", m=4, seed=3, **options):
    """Return a network of the given kind, with inputs, and with targets that are probabilities."""
    net = mbbp.Network(sizes, activation, cost, **{"dtype": "float64", "initializer": lively, "rng": seed} | options)
    rng = np.random.default_rng(seed + 1)
    return net, rng.standard_normal((net.sizes[0], m)), rng.dirichlet(np.ones(net.sizes[-1]), m).T


def distance(found, exact):
    """Return the largest difference. If the largest entry is above 1, the difference is relative to it."""
    return np.abs(np.asarray(found) - exact).max(initial=0) / max(1.0, np.abs(exact).max(initial=0))


def healthy(sizes=(8, 6, 5, 3), activation="tanh", cost="quadratic", m=60, **options):
    """Return a network without findings in its diagnosis, with inputs of the order of 1, and with targets."""
    net = mbbp.Network(sizes, activation, cost, **{"dtype": "float64", "initializer": "glorot", "rng": 1} | options)
    rng = np.random.default_rng(2)
    return net, rng.standard_normal((net.sizes[0], m)), rng.uniform(0.2, 0.8, (net.sizes[-1], m))


def kinds(diagnosis):
    """Return the layers of each finding of a diagnosis, by the kind of the finding."""
    return {finding.kind: finding.layers for finding in diagnosis.findings}


def slopes(net, passed):
    """Return sigma'(z) of each layer except softmax layers, by the number of the layer."""
    return {
        number: net.layers[number - 2].activation.derivative(z)
        for number, z in passed.z.items()
        if net.layers[number - 2].activation.name != "softmax"
    }

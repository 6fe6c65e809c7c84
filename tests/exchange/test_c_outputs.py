"""The outputs of compiled headers are those of mbbp, and to the bit those of the NumPy twin where libm has no part."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import mbbp
from mbbp.activations import ACTIVATIONS
from mbbp.exchange.c import twin
from mbbp.exchange.c.activations import WITHOUT_LIBM
from mbbp.exchange.c.model import WEIGHTS, model_of
from mbbp.exchange.plain import plain
from tests.exchange.compilers import EXACT, FOUND, NO_COMPILER, Case, outputs_of, write_program

pytestmark = pytest.mark.skipif(not FOUND, reason=NO_COMPILER)

SHAPES = [[1, 1], [3, 1], [4, 5, 3], [2, 3, 4, 5, 6, 7, 1], [9, 8, 16, 33], [64, 1, 2], [17, 14, 29, 2]]
EXTREMES = [0.0, -0.0, 1e30, -1e30, 100.0, -100.0, 1e-40, -1e-40, 1e-30, 3.0]


def inputs(n_in, rng, *, m=12):
    """Return inputs of float32: some of usual size, some extreme ones, and mixtures."""
    usual = rng.standard_normal((m, n_in)) * rng.choice([0.1, 1, 10], (m, 1))
    equal = np.repeat(np.array(EXTREMES)[:, np.newaxis], n_in, axis=1)
    mixed = np.where(rng.random((m, n_in)) < 0.2, rng.choice(EXTREMES, (m, n_in)), usual)
    return np.concatenate([usual, equal, mixed]).astype(np.float32)


def scalings(n_in, rng):
    mean, factor = rng.standard_normal(n_in), rng.uniform(0.1, 2, n_in)
    return [None, mbbp.Scaling(mean, factor), 1 / 255, mbbp.Scaling(factor=factor), mbbp.Scaling(mean=0.5)]


def make_cases():
    rng, cases = np.random.default_rng(0), []

    def add(kind, sizes, activation, weights, scaling):
        dtype = "float64" if weights == "float64" else "float32"
        net = mbbp.Network(sizes, activation, dtype=dtype, scaling=scaling, rng=0)
        net.theta = rng.standard_normal(net.theta.size) * 0.7
        name = f"{kind}_{len(cases)}_{weights}"
        cases.append(Case(name, net, weights, inputs(sizes[0], rng)))

    for place, activation in enumerate(ACTIVATIONS):
        for weights in WEIGHTS:
            hidden = "tanh" if activation == "softmax" else activation
            kinds = scalings(6, rng)
            add(activation, [6, 7, 4], [hidden, activation], weights, kinds[place % len(kinds)])
        add(f"{activation}_out", [6, 1], ["sigmoid" if activation == "softmax" else activation], "float32", None)
    for place, sizes in enumerate(SHAPES):
        for weights in WEIGHTS:
            kinds = scalings(sizes[0], rng)
            hidden = ["relu"] * (len(sizes) - 2)
            output = "identity" if (place + len(weights)) % 2 else "sigmoid"
            add("shape", sizes, [*hidden, output], weights, kinds[place % len(kinds)])
    for weights in ("float32", "int8"):
        add("book", [784, 30, 10], ["relu", "softmax"], weights, mbbp.Scaling.learn(rng.random((784, 9))))
    return cases


CASES = make_cases() if FOUND else []


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """For each compiler, the outputs and labels of all cases."""
    folder = tmp_path_factory.mktemp("c")
    source = write_program(CASES, folder)

    def answer(name):
        target = folder / "".join(letter if letter.isalnum() else "_" for letter in name)
        return name, outputs_of(FOUND[name].program(source, target), CASES)

    with ThreadPoolExecutor(2) as pool:
        return dict(pool.map(answer, FOUND))


SLOPES = {"sigmoid": 0.25, "gelu": 1.13, "silu": 1.1}  # the others have a slope of 1 at most


def tolerance(model, rows):
    """Return how much rounding may change the outputs: the first order, through all layers.

    A sum of n terms is allowed (4 + sqrt n) units of rounding of the sum of their magnitudes, and an activation 8.
    """
    unit = np.finfo(model.dtype).eps
    a = rows.astype(np.float64)
    if model.factor is not None:
        a = (a - (0 if model.mean is None else model.mean.astype(np.float64))) * model.factor.astype(np.float64)
    error = 2 * unit * abs(a)
    for layer in model.layers:
        W = layer.weights
        z = a @ W + layer.b
        error_of_z = error @ abs(W) + (4 + np.sqrt(len(W))) * unit * (abs(a) @ abs(W) + abs(layer.b))
        a = getattr(mbbp.reference, layer.activation)(z.T).T
        if layer.activation == "exp":
            error = a * np.expm1(error_of_z)
        elif layer.activation == "softmax":
            error = a * np.expm1(2 * error_of_z.max(axis=1, keepdims=True))
            error = np.minimum(error, 1.0)
        else:
            error = SLOPES.get(layer.activation, 1.0) * error_of_z
        error = error + 8 * unit * abs(a) + np.finfo(model.dtype).tiny
    return error


def are_close(found, wanted, allowed):
    with np.errstate(invalid="ignore"):
        return (found == wanted) | (abs(found - wanted) <= allowed) | (np.isnan(found) & np.isnan(wanted))


def columns(case):
    return case.rows.astype(case.dtype).T


@pytest.mark.parametrize("compiler", FOUND)
def test_the_outputs_are_those_of_mbbp(answers, compiler):
    for case in CASES:
        if case.weights == "int8":
            continue
        model = model_of(plain(case.net, "test"), case.weights)
        found = answers[compiler][case.name][0].astype(np.float64)
        with np.errstate(all="ignore"):
            wanted, allowed = case.net.feedforward(columns(case)).T.astype(np.float64), tolerance(model, case.rows)
        close = are_close(found, wanted, allowed)
        assert close.all(), (case.name, found[~close][:3], wanted[~close][:3], allowed[~close][:3])


@pytest.mark.parametrize("compiler", FOUND)
def test_the_outputs_are_those_of_the_twin(answers, compiler):
    for case in CASES:
        model = model_of(plain(case.net, "test"), case.weights)
        found, wanted = answers[compiler][case.name][0], twin.predict(model, case.rows)
        if EXACT in FOUND[compiler].options and {layer.activation for layer in model.layers} <= WITHOUT_LIBM:
            np.testing.assert_array_equal(found, wanted, err_msg=case.name)
            continue
        with np.errstate(all="ignore"):
            close = are_close(found.astype(np.float64), wanted.astype(np.float64), tolerance(model, case.rows))
        assert close.all(), (case.name, found[~close][:3], wanted[~close][:3])


@pytest.mark.parametrize("compiler", FOUND)
def test_the_labels_follow_from_the_outputs(answers, compiler):
    n = 0
    for case in CASES:
        if not case.is_classifier:
            continue
        n += 1
        outputs, labels = answers[compiler][case.name]
        model = model_of(plain(case.net, "test"), case.weights)
        np.testing.assert_array_equal(labels, twin.classify(model, outputs), err_msg=case.name)
        if case.weights != "int8":
            np.testing.assert_array_equal(labels[:12], case.net.classify(columns(case)[:, :12]), err_msg=case.name)
    assert n > 15


def test_usual_inputs_of_a_wide_network_differ_by_some_units_in_the_last_place(answers):
    case = next(one for one in CASES if one.name.startswith("book"))
    wanted = case.net.feedforward(columns(case)).T[:12]
    for outputs in answers.values():
        np.testing.assert_allclose(outputs[case.name][0][:12], wanted, rtol=1e-3, atol=2e-6)

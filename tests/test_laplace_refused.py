"""The Laplace approximation: the object that holds it, and what is refused."""

import copy
import math
import pickle
import re
import threading

import numpy as np
import pytest

import mbbp
from tests.posteriors import WHICH, made

# ----------------------------------------------------------------------------------------------------------- the object


@WHICH
def test_it_is_a_copy_and_can_be_pickled(parameters):
    net, X, Y, _ = made("softmax")
    before = net.theta.tobytes()
    found = mbbp.laplace(net, X, Y, parameters=parameters)
    assert net.theta.tobytes() == before
    expected = found.predict(X)
    copies = [pickle.loads(pickle.dumps(found)), copy.deepcopy(found), copy.copy(found), found]
    net.fit(X, Y, epochs=2, progress=False)
    for one in copies:
        assert repr(one) == repr(found)
        for found_part, part in zip(one.predict(X), expected, strict=True):
            np.testing.assert_array_equal(found_part, part)
        assert one.log_marginal_likelihood_at(one.prior_precision) == found.log_marginal_likelihood
    with pytest.raises(AttributeError, match=r"Laplace\.prior_precision: read-only"):
        found.prior_precision = 1.0


def test_its_text_is_one_line():
    number = r"-?[\d.e+-]+"
    rest = rf"log_marginal_likelihood={number}, effective_parameters={number}"
    net, X, Y, _ = made("identity")
    text = rf"Laplace\(all 59 parameters, numbers with Gaussian noise\): prior_precision={number}, "
    assert re.fullmatch(rf"{text}noise_variance={number}, {rest}", repr(mbbp.laplace(net, X, Y)))
    net, X, Y, _ = made("softmax")
    text = rf"Laplace\(the last layer's 15 parameters, classes\): prior_precision={number}, {rest}"
    assert re.fullmatch(text, repr(mbbp.laplace(net, X, Y, parameters="last_layer")))


def test_several_threads_may_predict():
    net, X, Y, _ = made("softmax", m=300)
    found = mbbp.laplace(net, X, Y)
    expected, results = found.predict(X).variance, []
    threads = [threading.Thread(target=lambda: results.append(found.predict(X).variance)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(np.array_equal(one, expected) for one in results)


# -------------------------------------------------------------------------------------------------------------- refused


@pytest.mark.parametrize("cost", ["huber", "absolute", mbbp.costs.quantile(0.9)], ids=str)
def test_a_cost_without_a_likelihood(cost):
    net = mbbp.Network([3, 2], "identity", cost)
    expected = "net: expected one of the costs quadratic, cross_entropy, log_likelihood, poisson, got "
    with pytest.raises(ValueError, match=re.escape(expected + str(net.cost_function))):
        mbbp.laplace(net, np.ones((3, 4)), np.ones((2, 4)))


def test_a_custom_cost_of_the_same_name():
    half = mbbp.Cost("quadratic", lambda a, y: 0.5 * (a - y) ** 2, lambda a, y: a - y)
    with pytest.raises(ValueError, match="got a custom cost 'quadratic'"):
        mbbp.laplace(mbbp.Network([3, 2], "identity", half), np.ones((3, 4)), np.ones((2, 4)))


REFUSED = {
    "net: expected an mbbp.Network, got 1": {"net": 1},
    "X: expected shape (3, m), got (4, 3)": {"X": np.ones((4, 3))},
    "X: expected finite numbers, got nan": {"X": np.full((3, 40), np.nan)},
    "Y: expected one target for each of the 40 columns": {"Y": np.ones((3, 4))},
    "Y: expected finite numbers, got inf": {"Y": np.full((3, 40), np.inf)},
    "parameters: expected one of all, last_layer, got 'some'": {"parameters": "some"},
    "parameters: expected one of all, last_layer, got None": {"parameters": None},
    "prior_precision: expected a finite number above 0, got 0": {"prior_precision": 0},
    "prior_precision: expected a finite number above 0, got -1": {"prior_precision": -1},
    "prior_precision: expected 'marginal_likelihood' or a number above 0, got 'best'": {"prior_precision": "best"},
    "noise_variance: expected a finite number above 0, got nan": {"noise_variance": math.nan},
    "noise_variance: expected a finite number above 0, got None": {"noise_variance": None},
    "memory_limit: expected a finite number above 0": {"memory_limit": 0},
    "X: expected inputs at which the squares of the derivatives": {"X": np.full((3, 40), 1e300)},
    "Y: expected targets with a finite log likelihood": {"Y": np.full((3, 40), 1e200)},
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_refused(message):
    net, X, Y, _ = made("identity", sizes=(3, 3), scaled="no")
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        mbbp.laplace(**{"net": net, "X": X, "Y": Y} | REFUSED[message])


@pytest.mark.parametrize("kind", ["sigmoid", "softmax", "exp"])
def test_classes_and_counts_have_no_noise(kind):
    net, X, Y, _ = made(kind)
    with pytest.raises(ValueError, match=r"noise_variance: expected none for (classes|counts).*, got 0\.1"):
        mbbp.laplace(net, X, Y, noise_variance=0.1)
    with pytest.raises(ValueError, match="noise_variance: expected none"):
        mbbp.laplace(net, X, Y).log_marginal_likelihood_at(1.0, 0.1)


def test_a_scaling_that_is_not_learnt():
    net = mbbp.Network([3, 2], "identity", scaling="standardize")
    with pytest.raises(ValueError, match="scaling: expected a learnt scaling"):
        mbbp.laplace(net, np.ones((3, 4)), np.ones((2, 4)))


@pytest.mark.parametrize("call", ["predict", "sample"])
def test_bad_inputs_of_predictions(call):
    net, X, Y, _ = made("identity")
    run = getattr(mbbp.laplace(net, X, Y), call)
    with pytest.raises(ValueError, match=r"X: expected shape \(3, m\)"):
        run(X.T)
    with pytest.raises(ValueError, match="X: expected finite numbers, got nan in row 1, column 2"):
        run(np.where(np.arange(120).reshape(3, 40) == 42, np.nan, X))


def test_too_many_parameters_are_refused_before_any_work():
    net = mbbp.Network([784, 100, 10], rng=0)
    message = re.escape(
        "memory_limit: expected at least 236 GiB for 79,510 parameters, got 2 GiB; "
        "take parameters='last_layer', which needs 0.038 GiB, or allow more"
    )
    with pytest.raises(MemoryError, match=message):
        mbbp.laplace(net, np.ones((784, 5)), np.zeros((10, 5)))
    with pytest.raises(MemoryError, match=r"for 1,010 parameters, got 9\.31e-10 GiB; allow more"):
        mbbp.laplace(net, np.ones((784, 5)), np.zeros((10, 5)), parameters="last_layer", memory_limit=1)


def test_a_network_that_is_trained_meanwhile():
    net, X, Y, _ = made("identity")
    errors = []

    def run():
        try:
            mbbp.laplace(net, X, Y)
        except RuntimeError as error:
            errors.append(str(error))

    def callback(net, row):
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()

    net.fit(X, Y, epochs=1, callbacks=callback, progress=False)
    assert errors[0].startswith("laplace: expected a network that is not being trained")

"""The compiled derivatives of a network: where results are written, what is refused, and what threads may do."""

import re
import threading

import numpy as np
import pytest

from tests.derivatives import METHODS, keywords, parts, problem

# --------------------------------------------------------------------------------------------------------------- out


def shape_of_out(name, net, m):
    return (net.sizes[-1], m, net.theta.size) if name == "jacobian" else (m, net.theta.size)


WITH_OUT = {
    "jacobian": lambda net, X, Y, out: net.jacobian(X, out=out),
    "per_example_gradients": lambda net, X, Y, out: net.per_example_gradients(X, Y, out=out),
}
with_out = pytest.mark.parametrize("name", WITH_OUT)


@with_out
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [1, 128, 130])
def test_out_is_filled_and_returned(name, dtype, m):
    net, X, Y, _ = problem([4, 5, 3], "tanh", "quadratic", dtype, m)
    expected = WITH_OUT[name](net, X, Y, None)
    room = np.full((3, *expected.shape), np.nan, dtype)
    assert WITH_OUT[name](net, X, Y, room[1]) is not expected
    found = room[1]
    np.testing.assert_array_equal(found, expected)
    assert np.isnan(room[[0, 2]]).all()  # nothing is written beside it
    out = np.full(expected.shape, np.nan, dtype)
    assert WITH_OUT[name](net, X, Y, out) is out
    np.testing.assert_array_equal(out, expected)


@with_out
def test_out_may_be_a_file(name, tmp_path):
    net, X, Y, _ = problem([4, 5, 3], "tanh", "quadratic", m=9)
    path, shape = tmp_path / "rows.npy", shape_of_out(name, net, 9)
    out = np.lib.format.open_memmap(path, "w+", net.dtype, shape)
    WITH_OUT[name](net, X, Y, out)
    out.flush()
    np.testing.assert_array_equal(np.load(path), WITH_OUT[name](net, X, Y, None))


def read_only(array):
    array.flags.writeable = False
    return array


BAD_OUT = {
    "another shape": (lambda shape: np.empty(shape[::-1]), ValueError),
    "one too many": (lambda shape: np.empty((shape[0] + 1, *shape[1:])), ValueError),
    "another dtype": (lambda shape: np.empty(shape, np.float32), ValueError),
    "whole numbers": (lambda shape: np.empty(shape, np.int64), ValueError),
    "another byte order": (lambda shape: np.empty(shape, np.dtype(float).newbyteorder()), ValueError),
    "another order": (lambda shape: np.empty(shape, order="F"), ValueError),
    "every second number": (lambda shape: np.empty((*shape[:-1], 2 * shape[-1]))[..., ::2], ValueError),
    "not to be written to": (lambda shape: read_only(np.empty(shape)), ValueError),
    "a list": (lambda shape: np.empty(shape).tolist(), TypeError),
    "text": (lambda shape: "out", TypeError),
}


@with_out
@pytest.mark.parametrize(("bad", "error"), BAD_OUT.values(), ids=BAD_OUT)
def test_an_out_that_does_not_fit_is_refused(name, bad, error):
    net, X, Y, _ = problem([4, 5, 3], "tanh", "quadratic")
    out = bad(shape_of_out(name, net, 4))
    before = np.array(out).tobytes()
    with pytest.raises(error, match=r"^out: expected "):
        WITH_OUT[name](net, X, Y, out)
    assert np.array(out).tobytes() == before


def test_an_out_that_is_the_parameters_is_refused():
    net, X, Y, _ = problem([4, 3], "tanh", "quadratic", m=1)
    before = net.theta.copy()
    with pytest.raises(ValueError, match=r"^out: expected "):
        net.per_example_gradients(X, Y, out=net.theta.reshape(1, -1))
    np.testing.assert_array_equal(net.theta, before)


# -------------------------------------------------------------------------------------------------------- bad inputs


def with_nan(array):
    array = np.array(array, float)
    array.flat[-1] = np.nan
    return array


BAD = {  # the argument that is replaced, by what, and the error
    "X, a vector": ("X", lambda X: X[:, 0], ValueError),
    "X, transposed": ("X", lambda X: X.T, ValueError),
    "X, no column": ("X", lambda X: X[:, :0], ValueError),
    "X, NaN": ("X", with_nan, ValueError),
    "X, text": ("X", lambda X: "X", TypeError),
    "X, complex": ("X", lambda X: 1j * X, TypeError),
    "Y, too few": ("Y", lambda Y: Y[:, :-1], ValueError),
    "Y, NaN": ("Y", with_nan, ValueError),
    "Y, a label": ("Y", lambda Y: [0, 1, 2, 3, 0, 1], ValueError),
    "output_gradient, too few": ("output_gradient", lambda U: U[:, :-1], ValueError),
    "output_gradient, transposed": ("output_gradient", lambda U: U.T, ValueError),
    "output_gradient, NaN": ("output_gradient", with_nan, ValueError),
    "output_gradient, text": ("output_gradient", lambda U: "U", TypeError),
    "vectors, too few": ("vectors", lambda U: U[:, :-1], ValueError),
    "vectors, NaN": ("vectors", with_nan, ValueError),
    "vectors, complex": ("vectors", lambda U: 1j * U, TypeError),
    "theta_direction, short": ("theta_direction", lambda v: v[:-1], ValueError),
    "theta_direction, a column": ("theta_direction", lambda v: v[:, np.newaxis], ValueError),
    "theta_direction, NaN": ("theta_direction", with_nan, ValueError),
    "theta_direction, text": ("theta_direction", lambda v: "v", TypeError),
    "input_direction, one": ("input_direction", lambda V: V[:, :1], ValueError),
    "input_direction, NaN": ("input_direction", with_nan, ValueError),
    "input_direction, text": ("input_direction", lambda V: "V", TypeError),
    "directions, a vector": ("directions", lambda V: V[:, 0], ValueError),
    "directions, other inputs": ("directions", lambda V: V[:-1], ValueError),
    "directions, none": ("directions", lambda V: V[:, :0], ValueError),
    "directions, NaN": ("directions", with_nan, ValueError),
    "direction, short": ("direction", lambda v: v[:-1], ValueError),
    "direction, NaN": ("direction", with_nan, ValueError),
    "direction, text": ("direction", lambda v: "v", TypeError),
    "clip_norm, 0": ("clip_norm", lambda norm: 0, ValueError),
    "clip_norm, negative": ("clip_norm", lambda norm: -1.0, ValueError),
    "clip_norm, NaN": ("clip_norm", lambda norm: np.nan, ValueError),
    "clip_norm, inf": ("clip_norm", lambda norm: np.inf, ValueError),
    "clip_norm, text": ("clip_norm", lambda norm: "1", TypeError),
}


@pytest.mark.parametrize("name", METHODS)
def test_what_does_not_fit_is_refused_by_name(name):
    net, X, Y, _ = problem([4, 5, 3], "tanh", "quadratic", m=6)
    good, before = keywords(net, X, Y)[name], net.theta.tobytes()
    for what, (argument, bad, error) in BAD.items():
        if argument in good:
            with pytest.raises(error, match=rf"^{argument}: expected ") as caught:
                getattr(net, name)(**good | {argument: bad(good[argument])})
            assert len(str(caught.value)) < 300, what
    assert net.theta.tobytes() == before
    assert all(np.isfinite(part).all() for part in parts(getattr(net, name)(**good)))


def test_a_product_without_a_direction_is_refused():
    net, X, _, _ = problem([4, 5, 3], "tanh", "quadratic")
    with pytest.raises(ValueError, match=r"^theta_direction: expected a direction"):
        net.jvp(X)


@pytest.mark.parametrize(("cost", "output"), [("poisson", "exp"), ("cross_entropy", "sigmoid")])
def test_targets_that_do_not_fit_the_cost_are_refused(cost, output):
    net, X, Y, rng = problem([4, 5, 3], ["tanh", output], cost)
    for name in ("hessian_vector_product", "gauss_newton_vector_product", "per_example_gradients", "gradient_norms"):
        more = (rng.standard_normal(net.theta.size),) if name.endswith("product") else ()
        with pytest.raises(ValueError, match=rf"^Y: expected .* for the {cost} cost"):
            getattr(net, name)(X, -Y, *more)


# ----------------------------------------------------------------------------------------------------------- threads


def error_of(run):
    """Return the error that `run` raises in another thread, or None."""
    errors = []

    def target():
        try:
            run()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    return errors[0] if errors else None


def test_another_thread_is_refused_while_the_network_is_fitted():
    net, X, Y, _ = problem([4, 5, 3], "tanh", "quadratic")
    good, found = keywords(net, X, Y), {}

    def callback(net, _):
        for name in METHODS:
            found[name] = error_of(lambda name=name: getattr(net, name)(**good[name]))

    net.fit(X, Y, epochs=1, callbacks=callback)
    for name, error in found.items():
        assert isinstance(error, RuntimeError)
        assert re.match(f"{name}: expected a network that is not being trained", str(error))
    assert found.keys() == set(METHODS)


def test_several_threads_get_the_same_numbers():
    net, X, Y, _ = problem([4, 9, 3], "tanh", "quadratic", m=200)
    good = keywords(net, X, Y)
    expected = {name: parts(getattr(net, name)(**one)) for name, one in good.items()}
    wrong = []

    def work():
        for _ in range(5):
            for name, one in good.items():
                found = parts(getattr(net, name)(**one))
                if any(a.tobytes() != b.tobytes() for a, b in zip(found, expected[name], strict=True)):
                    wrong.append(name)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []

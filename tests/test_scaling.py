"""How inputs are scaled: by all methods, for inputs of every dtype, as NumPy would do it."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import mbbp
from mbbp.inputs import scaled
from mbbp.scaling import NUMBERS_AT_ONCE, learn

M, N_IN = 150, 4  # more examples than one chunk of a prediction
LABELS = np.arange(M) % 3
DTYPES = ["float32", "float64"]
INPUT_DTYPES = ["bool", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "longlong", "f2", "f4", "f8", ">f4", ">i4"]
MEAN, FACTOR = np.array([1.0, 0.0, -2.0, 40.0]), np.array([0.5, 2.0, 1.0, 0.01])
SCALINGS = {
    "none": None,
    "a factor": 1 / 255,
    "one of each": mbbp.Scaling(MEAN, FACTOR),
    "a mean": mbbp.Scaling(mean=3.0),
    "factors": mbbp.Scaling(factor=FACTOR),
}
scalings = pytest.mark.parametrize("scaling", SCALINGS.values(), ids=SCALINGS)
dtypes = pytest.mark.parametrize("dtype", DTYPES)


def build(scaling, dtype="float32", sizes=(N_IN, 5, 3), **options):
    return mbbp.Network(sizes, dtype=dtype, rng=0, scaling=scaling, **options)


def inputs(kind, m=M):
    rng = np.random.default_rng(1)
    whole = rng.integers(0, 2 if kind == "bool" else 100, (N_IN, m))
    return whole.astype(kind) if np.dtype(kind).kind in "biu" else rng.standard_normal((N_IN, m)).astype(kind)


def by_numpy(X, scaling, dtype):
    """Return scaled inputs, computed in the dtype that holds both."""
    kept = X.dtype.newbyteorder("=")
    wide = np.result_type(kept, dtype)
    X = X.astype(wide)
    if isinstance(scaling, float):
        return (X * wide.type(scaling)).astype(dtype)
    if scaling is None:
        return X.astype(dtype)
    mean = np.zeros(1) if scaling.mean is None else scaling.mean
    return ((X - mean.astype(wide)[:, None]) * scaling.factor.astype(wide)[:, None]).astype(dtype)


@dtypes
@scalings
@pytest.mark.parametrize("kind", INPUT_DTYPES)
def test_all_methods_scale_inputs_of_every_dtype(kind, scaling, dtype):
    X = inputs(kind)
    values = by_numpy(X, scaling, dtype)
    net, plain = build(scaling, dtype), build(None, dtype)
    np.testing.assert_array_equal(net.feedforward(X), plain.feedforward(values))
    np.testing.assert_array_equal(net.feedforward(X[:, :2]), plain.feedforward(values[:, :2]))
    np.testing.assert_array_equal(net.classify(X), plain.classify(values))
    for found, expected in zip(net.activations(X), plain.activations(values), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert net.cost(X, LABELS) == plain.cost(values, LABELS)
    assert net.accuracy(X, LABELS) == plain.accuracy(values, LABELS)
    np.testing.assert_array_equal(net.gradient(X, LABELS).theta, plain.gradient(values, LABELS).theta)
    net.fit(X, LABELS, epochs=2, validation_data=(X, LABELS))
    plain.fit(values, LABELS, epochs=2, validation_data=(values, LABELS))
    assert net.theta.tobytes() == plain.theta.tobytes()
    assert net.history["validation_cost"] == plain.history["validation_cost"]
    trainer, other = net.trainer(), plain.trainer()
    assert trainer.step(X, LABELS) == other.step(values, LABELS)
    assert trainer.step(X, LABELS) == other.step(values, LABELS)


@scalings
def test_gradients_agree_with_the_oracle_and_with_numeric_derivatives(scaling):
    net, X = build(scaling, "float64"), inputs("f8", 5)
    found = net.gradient(X, LABELS[:5], with_respect_to_input=True)
    expected = mbbp.reference.gradient(net, X, LABELS[:5])
    np.testing.assert_allclose(found.theta, expected.theta, rtol=0, atol=1e-15)
    assert found.cost == pytest.approx(expected.cost, rel=1e-14)
    assert mbbp.check_gradients(net, X, LABELS[:5]).passed
    np.testing.assert_allclose(mbbp.chapter2.backpropagation(net, X, LABELS[:5]).theta, found.theta, rtol=0, atol=1e-15)
    step = np.zeros_like(X)
    step[3, 2] = 1e-6
    rise = net.cost(X + step, LABELS[:5]) - net.cost(X - step, LABELS[:5])
    assert 5 * rise / 2e-6 == pytest.approx(found.inputs[3, 2], rel=1e-6, abs=1e-9)


def test_large_numbers_with_small_differences_keep_them():
    seconds = 1.7e9 + np.arange(M)  # float32 has steps of 128 here
    net = build("standardize", sizes=(1, 3))
    net.fit(seconds[None], LABELS, epochs=1)
    first, *_ = net.activations(seconds[None])
    np.testing.assert_allclose(first[0], (seconds - seconds.mean()) / seconds.std(), atol=1e-6)
    np.testing.assert_array_equal(net.activations(seconds.astype(np.int64)[None])[0], first)


# ------------------------------------------------------------------------------------------------------------ learning


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 9)), elements=st.floats(-1e6, 1e6)))
def test_a_learnt_scaling_gives_mean_0_and_variance_1(X):
    scaling = mbbp.Scaling.learn(X)
    values = scaled(X.T, scaling, np.dtype(np.float64)).T
    constant = (X[:, :1] == X).all(axis=1)
    assert not values[constant].any()
    spread = np.abs(X).max(axis=1) + 1
    sure = ~constant & (X.std(axis=1) > 1e-6 * spread)
    np.testing.assert_allclose(values[sure].mean(axis=1), 0, atol=1e-8)
    np.testing.assert_allclose(values[sure].var(axis=1), 1, rtol=1e-8)


@pytest.mark.parametrize("kind", ["u1", "f4", "i8"])
def test_a_scaling_is_learnt_in_parts_from_the_chosen_rows_alone(kind, rng):
    n = NUMBERS_AT_ONCE // 3
    rows = rng.integers(0, 200, (2 * n + 50, 3)).astype(kind)
    chosen = np.sort(rng.permutation(len(rows))[: n + 7])
    rows[chosen[-1], 0] = 201  # a feature that is constant up to the last part
    rows[chosen[:-1], 0] = 200
    scaling = learn(rows, chosen)
    assert learn(rows[chosen], np.arange(chosen.size)) == scaling
    np.testing.assert_allclose(scaling.mean, rows[chosen].astype(float).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(1 / scaling.factor, rows[chosen].astype(float).std(axis=0), rtol=1e-12)


def test_standardize_is_learnt_from_the_training_part_at_the_first_fit():
    X = inputs("f8")
    net = build("standardize")
    assert net.scaling == "standardize"
    assert "scaling='standardize'" in repr(net)
    net.fit(X, LABELS, epochs=1, validation_split=0.2)
    learnt = net.scaling
    assert learnt != mbbp.Scaling.learn(X)
    assert "scaling=Scaling(mean=[" in repr(net)
    net.fit(X * 7, LABELS, epochs=1)
    assert net.scaling is learnt
    whole = build("standardize")
    whole.fit(X, LABELS, epochs=1)
    assert whole.scaling == mbbp.Scaling.learn(X)


@pytest.mark.parametrize(
    "use",
    [
        lambda net, X: net.feedforward(X),
        lambda net, X: net.feedforward(X.astype(np.float32)[:, :2]),
        lambda net, X: net.activations(X),
        lambda net, X: net.cost(X, LABELS),
        lambda net, X: net.gradient(X, LABELS),
        lambda net, X: net.trainer().step(X, LABELS),
        lambda net, X: mbbp.chapter2.backpropagation(net, X, LABELS),
        lambda net, X: mbbp.reference.feedforward(net, X),
        lambda net, X: mbbp.diagnose(net, X, LABELS),
    ],
)
def test_what_is_not_learnt_yet_cannot_be_used(use):
    with pytest.raises(ValueError, match=r"expected a .*learnt scaling, got"):
        use(build("standardize"), inputs("f8"))


def test_a_training_that_fails_at_once_learns_no_scaling():
    net = build("standardize", activation="identity")
    with pytest.raises(mbbp.DivergedError):
        net.fit(inputs("f8"), LABELS, learning_rate=1e30, epochs=3)
    assert net.scaling == "standardize"
    assert len(net.history) == 0


def test_numbers_whose_squares_are_too_large_cannot_be_standardized():
    net = build("standardize", "float64", sizes=(1, 3))
    with pytest.raises(ValueError, match="X: expected numbers whose squares float64 can hold"):
        net.fit(np.array([[1e200, -1e200, 0.0]]), [0, 1, 2])
    with pytest.raises(ValueError, match="X: expected finite numbers"):
        mbbp.Scaling.learn([[np.nan, 1.0]])


@pytest.mark.parametrize("kind", ["f4", "f8", "i4"])
def test_inputs_that_overflow_when_they_are_scaled_are_refused_by_place(kind):
    X = np.zeros((N_IN, M), kind)
    X[1, 140] = 2**31 - 1
    net = build(1e30)
    for use in (net.feedforward, lambda X: net.fit(X, LABELS, epochs=1), lambda X: net.cost(X, LABELS)):
        with pytest.raises(ValueError, match=r"X: expected numbers that float32 can hold, got .* in row 1, column 140"):
            use(X)


# ---------------------------------------------------------------------------------------------------------- the object


@scalings
def test_copies_and_pickles_scale_alike(scaling):
    net, X = build(scaling), inputs("u1")
    for other in (copy.deepcopy(net), copy.copy(net), pickle.loads(pickle.dumps(net))):
        assert other.scaling == net.scaling
        np.testing.assert_array_equal(other.feedforward(X), net.feedforward(X))


def test_scaling_by_1_is_none():
    assert build(1).scaling is None
    assert build(None).scaling is None


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"factor": [1, 0]}, ValueError, "factor: expected numbers other than 0, got 0"),
        ({"factor": np.inf}, ValueError, "factor: expected one finite number, or one for each feature"),
        ({"mean": [[1, 2]]}, ValueError, "mean: expected one finite number, or one for each feature"),
        ({"mean": []}, ValueError, "mean: expected one finite number, or one for each feature"),
        ({"mean": "a"}, TypeError, "mean: expected real numbers"),
        ({"mean": [1, 2], "factor": [1, 2, 3]}, ValueError, "factor: expected 1 or 2 numbers"),
    ],
)
def test_a_scaling_that_makes_no_sense(arguments, error, message):
    with pytest.raises(error, match=message):
        mbbp.Scaling(**arguments)


def test_a_scaling_does_not_change():
    mean = np.array([1.0, 2.0])
    scaling = mbbp.Scaling(mean)
    mean[:] = 7
    assert scaling == mbbp.Scaling([1, 2])
    with pytest.raises(ValueError, match="read-only"):
        scaling.mean[0] = 3
    with pytest.raises(AttributeError):
        scaling.factor = 2


@pytest.mark.parametrize("scaling", [1e-50, 1e50, mbbp.Scaling(mean=1e60)])
def test_numbers_that_the_dtype_cannot_hold_are_refused(scaling):
    with pytest.raises(ValueError, match="scaling: expected means and factors that float32 can hold, got Scaling"):
        build(scaling)
    assert build(scaling, "float64").scaling is not None


@pytest.mark.parametrize("scaling", [True, False, b"3"])
def test_what_is_no_number_is_no_scaling(scaling):
    with pytest.raises(TypeError, match="scaling: expected None, a number, 'standardize'"):
        build(scaling)


def test_validation_data_that_overflow_when_they_are_standardized_are_refused():
    X = np.full((1, 30), 1e-30) * np.linspace(1, 2, 30)
    net = build("standardize", sizes=(1, 3))
    with pytest.raises(ValueError, match=r"validation_data\[0\]: expected numbers that float32 can hold"):
        net.fit(X, LABELS[:30], validation_data=(X * 1e60, LABELS[:30]))
    with pytest.raises(ValueError, match="X: expected means and factors that float32 can hold"):
        build("standardize", sizes=(1, 3)).fit(X * 1e-20, LABELS[:30])

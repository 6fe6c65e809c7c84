import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mbbp
from tests.problems import continuous, figures, labelled, network


def ensemble(n=3, **options):
    return mbbp.Ensemble([network(rng=i, **options) for i in range(n)])


def test_mean_and_variance_are_those_of_the_outputs():
    X, Y = continuous()
    one = ensemble()
    one.fit(X, Y, epochs=2)
    outputs = np.array([net.feedforward(X) for net in one])
    found = one.predict(X)
    np.testing.assert_allclose(found.mean, outputs.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(found.variance, outputs.var(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(one.feedforward(X), found.mean)


def test_the_variance_of_float32_outputs_keeps_its_digits():
    one = ensemble(dtype="float32")
    X = continuous()[0]
    outputs = np.array([net.feedforward(X) for net in one], np.float64)
    np.testing.assert_allclose(one.predict(X).variance, outputs.var(axis=0), rtol=1e-12)


def test_build_differs_by_seeds_alone():
    one, same, other = (mbbp.Ensemble.build(3, [4, 5, 3], rng=seed, activation="tanh") for seed in (0, 0, 1))
    assert [net.theta.tobytes() for net in one] == [net.theta.tobytes() for net in same]
    assert len({net.theta.tobytes() for net in [*one, *other]}) == 6
    longer = mbbp.Ensemble.build(5, [4, 5, 3], rng=0, activation="tanh")
    assert [net.theta.tobytes() for net in longer][:3] == [net.theta.tobytes() for net in one]


def test_bootstrap_trains_each_network_on_its_own_sample():
    X, Y = continuous()
    one = ensemble()
    one.fit(X, Y, epochs=2, bootstrap=True, rng=5, each=[{"l2": 0.1}, {}, {}])
    rng = np.random.default_rng(5)
    for number, own in enumerate([{"l2": 0.1}, {}, {}]):
        alone = network(rng=number)
        alone.fit(X, Y, epochs=2, subset=rng.integers(23, size=23), **own)
        assert alone.theta.tobytes() == one.networks[number].theta.tobytes()


def test_classes_are_those_of_the_mean_of_the_outputs():
    X, y = labelled(200)
    one = ensemble(5)
    one.fit(X, y, epochs=5, learning_rate=1.0)
    expected = one.feedforward(X).argmax(axis=0)
    np.testing.assert_array_equal(one.classify(X), expected)
    assert one.classify(X).dtype == np.int64
    assert one.accuracy(X, y) == np.mean(expected == y)
    assert one.accuracy(X, np.eye(3)[:, y]) == np.mean(expected == y)


def test_a_single_output_is_above_or_below_the_threshold():
    nets = [mbbp.Network([1, 1], dtype="float64", rng=i) for i in range(3)]
    for net, bias in zip(nets, (-1.0, 0.2, 2.0), strict=True):
        net.theta = [0.0, bias]
    one = mbbp.Ensemble(nets)
    mean = float(one.feedforward([[0.0]])[0, 0])
    assert mean > 0.5
    assert one.classify([[0.0]]).tolist() == [1]
    assert one.accuracy([[0.0, 1.0]], [0, 1]) == 0.5


@settings(max_examples=8)
@given(st.integers(1, 4), st.booleans(), st.sampled_from(["float32", "float64"]))
def test_a_file_holds_everything(tmp_path_factory, n, training, dtype):
    path = tmp_path_factory.mktemp("ensemble") / "one.mbbp"
    X, Y = continuous()
    one = ensemble(n, dtype=dtype, scaling="standardize")
    one.fit(X, Y, epochs=2, optimizer="adam")
    one.save(path, training=training)
    again = mbbp.Ensemble.load(path)
    assert len(again) == n
    for net, same in zip(one, again, strict=True):
        assert net.theta.tobytes() == same.theta.tobytes()
        assert net.feedforward(X).tobytes() == same.feedforward(X).tobytes()
        assert figures(same.history) == (figures(net.history) if training else [])
    if training:
        for each in (one, again):
            each.fit(X, Y, epochs=2, optimizer="adam")
        assert [net.theta.tobytes() for net in one] == [net.theta.tobytes() for net in again]


def test_one_file_is_no_other(tmp_path):
    one = ensemble()
    one.save(tmp_path / "many.npz")
    mbbp.save(one.networks[0], tmp_path / "one.npz")
    with pytest.raises(ValueError, match=r"got that of an ensemble .*; use mbbp.Ensemble.load"):
        mbbp.load(tmp_path / "many.npz")
    with pytest.raises(ValueError, match=r"got that of a network .*; use mbbp.load"):
        mbbp.Ensemble.load(tmp_path / "one.npz")
    with pytest.raises(ValueError, match=r"path: expected a name that ends in"):
        one.save(tmp_path / "many.txt")


def test_every_flipped_byte_and_every_cut_is_found(tmp_path):
    path = tmp_path / "one.npz"
    mbbp.Ensemble([mbbp.Network([1, 1], rng=i) for i in range(2)]).save(path)
    whole = path.read_bytes()
    expected = [net.theta.tobytes() for net in mbbp.Ensemble.load(path)]
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            found = [net.theta.tobytes() for net in mbbp.Ensemble.load(path)]
        except ValueError as error:
            assert "path: expected" in str(error)  # noqa: PT017 -- some bytes of a zip archive mean nothing
        else:
            assert found == expected
    for length in range(0, len(whole), 50):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="path: expected"):
            mbbp.Ensemble.load(path)


@pytest.mark.parametrize(
    ("nets", "message"),
    [
        (
            lambda: [network(), mbbp.Network([5, 3], rng=1)],
            r"networks\[1\]: expected inputs 4 as in networks\[0\], got 5",
        ),
        (lambda: [network(), mbbp.Network([4, 2], rng=1)], r"networks\[1\]: expected outputs 3 .*, got 2"),
        (
            lambda: [network(), network(rng=1, activation=["tanh", "identity"])],
            r"networks\[1\]: expected the output activation sigmoid .*, got identity",
        ),
        (lambda: [network(), network(rng=1, cost="cross_entropy")], r"networks\[1\]: expected the cost quadratic"),
        (lambda: [], "networks: expected at least one network"),
    ],
)
def test_networks_that_do_not_fit_together_are_refused(nets, message):
    with pytest.raises(ValueError, match=message):
        mbbp.Ensemble(nets())


def test_a_subset_with_bootstrap_is_refused():
    one = ensemble()
    before = [net.theta.tobytes() for net in one]
    for given_too in ({"subset": [1, 2]}, {"each": [{}, {"subset": [1]}, {}]}):
        with pytest.raises(ValueError, match="subset: expected none with bootstrap=True"):
            one.fit(*continuous(), bootstrap=True, **given_too)
    assert [net.theta.tobytes() for net in one] == before


@pytest.mark.parametrize("bootstrap", [False, True])
@pytest.mark.parametrize(
    ("X", "y", "kind", "message"),
    [
        (3, 3, ValueError, r"X: expected shape \(4, m\) with one example per column, got \(\)"),
        ([[1, 2], [3]], [1, 2], ValueError, "X: expected rows of equal length, got rows of different lengths"),
        ([1, 2, 3, 4], [1], ValueError, r"X: expected shape \(4, m\) with one example per column, got \(4,\)"),
        (np.zeros((4, 0)), [], ValueError, "X: expected at least one column"),
        (mbbp.chunks(np.zeros((5, 4)), np.zeros(5)), None, TypeError, "X: expected arrays to train several networks"),
    ],
)
def test_data_that_are_refused(X, y, kind, message, bootstrap):
    with pytest.raises(kind, match=message):
        ensemble().fit(X, y, bootstrap=bootstrap)


def test_a_seed_is_only_for_bootstrap():
    with pytest.raises(ValueError, match=r"rng: expected None without bootstrap=True, which alone draws .*, got 3"):
        ensemble().fit(*continuous(), rng=3)
    for bootstrap in (False, True):
        with pytest.raises((TypeError, ValueError), match=r"rng: expected .*, got 'nonsense'"):
            ensemble().fit(*continuous(), rng="nonsense", bootstrap=bootstrap)


def test_a_warning_points_to_the_call():
    one = ensemble(activation=["tanh", "identity"])
    with pytest.warns(UserWarning, match="3 of 3 networks diverged") as caught:
        one.fit(*continuous(), learning_rate=1e200, epochs=2)
    assert [warning.filename for warning in caught] == [__file__]


def test_it_is_shown_in_one_line():
    assert repr(ensemble()) == "Ensemble of 3 networks: [4, 5, 3]"
    mixed = mbbp.Ensemble([network(), mbbp.Network([4, 7, 3], rng=1)])
    assert repr(mixed) == "Ensemble of 2 networks: 2 kinds of sizes"

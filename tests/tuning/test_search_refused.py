"""What a search refuses, before anything is trained."""

import pytest

import mbbp
from mbbp.tuning import Distribution, choice, integers, log_uniform, uniform
from tests.tuning.searches import SPACE, X, Y, find

REFUSED = [
    ({"space": 3}, TypeError, "space: expected a mapping from settings to distributions, got 3"),
    ({"space": {}}, ValueError, "space: expected at least one distribution, got none"),
    ({"space": {"hidden": 3}}, ValueError, "space: expected at least one distribution, got none"),
    ({"space": {3: integers(1, 2)}}, TypeError, "space: expected names of settings, got 3"),
    ({"space": {**SPACE, "lr": 1}}, ValueError, "space: expected one of .*learning_rate.*, got 'lr'"),
    ({"space": {**SPACE, "epochs": 1}}, ValueError, "space: expected no epochs, which the search sets"),
    ({"space": {**SPACE, "rng": 1}}, ValueError, "space: expected no rng"),
    ({"checkpoint": "a.npz"}, ValueError, "search: expected no checkpoint"),
    ({"lr": 1}, ValueError, "search: expected one of .*learning_rate.*, got 'lr'"),
    ({"learning_rate": 1}, ValueError, "space: expected no learning_rate, which is given as an argument too"),
    ({"l2": uniform(0, 1)}, ValueError, r"l2: expected a value; it belongs in space, got uniform\(0, 1\)"),
    (
        {"space": {**SPACE, "subset": choice([1], [2])}},
        ValueError,
        "subset: expected a value: it is the same for all candidates, got choice",
    ),
    ({"space": {"learning_rate": uniform(0, 1)}}, ValueError, "space: expected the sizes .* as hidden.*, got neither"),
    ({"space": {**SPACE, "sizes": [4, 3]}}, ValueError, "space: expected the sizes .* as hidden.*, got both"),
    ({"space": {**SPACE, "hidden": "ab"}}, TypeError, "hidden: expected the sizes of the hidden layers, got 'ab'"),
    ({"space": {**SPACE, "hidden": None}}, TypeError, "hidden: expected the sizes of the hidden layers, got None"),
    ({"space": {**SPACE, "hidden": 0}}, ValueError, "hidden: expected 1 or more, got 0"),
    ({"space": {**SPACE, "activation": "swosh"}}, ValueError, "activation: expected one of"),
    ({"space": {**SPACE, "l2": choice(-1)}}, ValueError, "l2: expected a finite number"),
    ({"n_candidates": 0}, ValueError, "n_candidates: expected 1 or more, got 0"),
    ({"n_candidates": 1.5}, TypeError, "n_candidates: expected a whole number, got 1.5"),
    ({"method": "grid"}, ValueError, "method: expected one of halving, random, got 'grid'"),
    ({"method": 3}, TypeError, "method: expected a name, got 3"),
    ({"epochs": 0}, ValueError, "epochs: expected 1 or more, got 0"),
    ({"eta": 1}, ValueError, "eta: expected 2 or more, got 1"),
    ({"monitor": "score"}, ValueError, "monitor: expected one of .*validation_cost.*, got 'score'"),
    ({"validation_split": None}, ValueError, "monitor: expected validation_data or validation_split for the monitor"),
    ({"monitor": "damping"}, ValueError, "monitor: expected a monitor that .* measures, got 'damping'"),
    ({"monitor": "seconds"}, ValueError, "monitor: expected one that is the same in every run, with file, got 'seco"),
    (
        {"validation_data": mbbp.chunks(X.T, Y), "validation_split": None},
        ValueError,
        "validation_data: expected arrays with file, whose data are compared, got Chunks",
    ),
    ({"rng": -1}, ValueError, "rng: expected 0 or more, got -1"),
    ({"rng": "a"}, TypeError, "rng: expected a whole number, got 'a'"),
    ({"progress": 1}, TypeError, "progress: expected True or False, got 1"),
    ({"client": "tcp://"}, TypeError, "client: expected a distributed.Client"),
    ({"make": 3, "dtype": "float64"}, TypeError, "make: expected a function that returns an mbbp.Network, got 3"),
    ({"make": print}, ValueError, "search: expected one of .*, got 'dtype'"),
]


@pytest.mark.parametrize(("given", "kind", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_refused(given, kind, message, tmp_path, monkeypatch):
    monkeypatch.setattr("mbbp.tuning.running.train_all", None)
    with pytest.raises(kind, match=message):
        find(file=tmp_path / "s", **given)
    assert list(tmp_path.iterdir()) == []


NET = mbbp.Network([4, 3], rng=0)
TRAINED = mbbp.Network([4, 3], rng=0)
TRAINED.fit(X, Y, epochs=1)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda settings: None, TypeError, "make: expected a function that returns an mbbp.Network, got None"),
        (lambda settings: TRAINED, ValueError, "make: expected a function that returns a new network, got one that is"),
        (lambda settings: NET, ValueError, r"networks\[1\]: .* is the same network as networks\[0\]"),
    ],
)
def test_networks_that_are_refused(make, kind, message):
    with pytest.raises(kind, match=message):
        mbbp.search({"n": integers(1, 2)}, X, Y, make=make, validation_split=0.3)


def test_an_error_names_the_candidate():
    class Last(Distribution):
        n = 0

        def sample(self, rng):
            Last.n += 1
            return -1 if Last.n == 5 else 0.1

    with pytest.raises(ValueError, match="l2: expected") as caught:
        find(space={"hidden": 3, "learning_rate": log_uniform(0.1, 1), "l2": Last()})
    assert caught.value.__notes__[0].startswith("This is an error of candidate 4, with {'hidden': 3, 'l2': -1, 'learn")


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (X[0], Y, "X: expected a matrix with one example per column, got shape"),
        (X, Y[0], r"y: expected labels \(n,\) or desired outputs"),
        (X, Y * 1000, r"y: expected labels, got 2000 among 23 of them; for numbers pass a matrix \(1, n\)"),
        (X, Y[1:], "y: expected one target for each of the 23 columns of X, got 22 labels"),
    ],
)
def test_data_that_are_refused(X, y, message):
    with pytest.raises(ValueError, match=message):
        mbbp.search(SPACE, X, y, validation_split=0.3)

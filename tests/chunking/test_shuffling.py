"""The two levels of the shuffle: what is drawn, and its statistics."""

import itertools

import numpy as np
import pytest

import mbbp
from mbbp.chunking.pools import Streamed
from mbbp.chunking.survey import look_through
from mbbp.loop import Loop
from tests.chunking.problem import SMALL, N, fitted, network, numbers, pools_of, rows


@pytest.fixture
def taken(monkeypatch):
    """Return a list that gets the inputs of each example that a training takes, in their order."""
    found, run, new = [], Loop.run, Loop.__init__

    def remember(self, engine, examples, *more):
        new(self, engine, examples, *more)
        self._examples = examples

    def note(self, order, step):
        found.extend(self._examples.inputs[order, 0].tolist())
        return run(self, order, step)

    monkeypatch.setattr(Loop, "__init__", remember)
    monkeypatch.setattr(Loop, "run", note)
    return found


def numbered(n, memory, chunk_rows, epochs, taken, rng=0, **settings):
    """Train on examples whose first input is their number; return the numbers (epochs, n) as they were taken."""
    X = np.zeros((n, 4), np.float32)
    X[:, 0] = np.arange(n)
    y = np.zeros(n, int)
    taken.clear()
    net = network(scaling=1e-6, rng=rng)
    net.fit(mbbp.chunks(X, y, memory=memory, chunk_bytes=chunk_rows * 24), epochs=epochs, **settings)
    return np.array(taken, int).reshape(epochs, n)


def size_of_pools(n, memory, batch_size):
    net = network(scaling=None)
    data = mbbp.chunks(np.zeros((n, 4), np.float32), np.zeros(n, int), memory=memory)
    return Streamed(look_through(net.engine, data, learns=False), None).size(batch_size)


@pytest.mark.parametrize("n", [300, 503])
@pytest.mark.parametrize("batch_size", [1, 7, 10, 31, 60])  # 60 examples fit into half the memory
@pytest.mark.parametrize("chunk_rows", [1, 9, 200])
def test_each_example_is_taken_once_in_each_epoch(n, batch_size, chunk_rows, taken):
    found = numbered(n, 4000, chunk_rows, 3, taken, batch_size=batch_size)
    np.testing.assert_array_equal(np.sort(found, axis=1), [np.arange(n)] * 3)
    assert not np.array_equal(found[0], found[1])


def test_without_a_shuffle_they_are_taken_in_order(taken):
    np.testing.assert_array_equal(numbered(503, 4000, 9, 2, taken, shuffle=False), [np.arange(503)] * 2)


def test_a_pool_has_whole_mini_batches_and_all_pools_about_as_many():
    for batch_size in (1, 7, 10, 64, 400):
        size = size_of_pools(503, 4000, batch_size)
        assert size % batch_size == 0
        assert size <= max(batch_size, 4000 // 2 // (16 + 1 + 16))
        pools = -(-503 // size)
        assert size < 503 / pools + batch_size


def test_a_pool_has_the_examples_of_the_chunks_in_their_random_order(taken):
    """The order of the chunks can be read off: all examples of a pool are consecutive in the stream of chunks."""
    n, chunk = 400, 20
    size = size_of_pools(n, 6600, 10)
    assert size == 100
    for epoch in numbered(n, 6600, chunk, 5, taken):
        for pool in epoch.reshape(-1, size):
            chunks, counts = np.unique(pool // chunk, return_counts=True)
            assert len(chunks) == size // chunk
            assert (counts == chunk).all()


def chi_square(counts):
    """Return how many standard deviations the chi-square of counts with equal expectations is above its mean."""
    counts = np.asarray(counts, float)
    expected = counts.mean()
    degrees = counts.size - 1
    return (((counts - expected) ** 2 / expected).sum() - degrees) / np.sqrt(2 * degrees)


def test_all_places_are_equally_likely(taken):
    """For an example: its place in its pool. For a chunk: its pool. For two examples of a chunk: which comes first."""
    n, chunk, epochs = 400, 20, 600
    found = numbered(n, 6600, chunk, epochs, taken, batch_size=100)
    size = 100
    place = np.argsort(found, axis=1)  # of each example, in each epoch
    in_pool, pool = place % size, place // size
    assert abs(chi_square(np.bincount(in_pool[:, ::chunk].ravel(), minlength=size))) < 4
    for example in (0, 57, 399):
        assert abs(chi_square(np.bincount(in_pool[:, example], minlength=size))) < 4
        assert abs(chi_square(np.bincount(pool[:, example], minlength=4))) < 4
    first = place[:, 0] < place[:, 1]
    assert abs(first.mean() - 0.5) < 4 * 0.5 / np.sqrt(epochs)
    # two chunks meet in a pool as often as their number says: 4 of the other 19
    together = (pool[:, 0] == pool[:, 25]).mean()
    assert abs(together - 4 / 19) < 4 * np.sqrt(4 / 19 * 15 / 19 / epochs)
    # and epochs do not repeat each other; the examples of a chunk stay together, so 20 chunks count
    assert abs(np.corrcoef(place[:-1].ravel(), place[1:].ravel())[0, 1]) < 4 / np.sqrt(epochs * 20)


def test_the_steps_are_those_of_the_oracle():
    X, Y = numbers()
    data = mbbp.chunks(X, Y, memory=SMALL, chunk_bytes=1000)
    net = network(dtype="float64", scaling=0.5, cost="cross_entropy")
    survey = look_through(net.engine, data, net.scaling, learns=False)
    size = Streamed(survey, net.scaling).size(7)
    assert 2 < N / size < 10
    batches = list(itertools.chain(*pools_of(net, N, size, survey.counts, 3, 7)))
    expected = mbbp.reference.sgd(net, X.T, Y.T, batches, 0.3, l2=0.1)
    net.fit(data, epochs=3, batch_size=7, learning_rate=0.3, l2=0.1)
    np.testing.assert_allclose(net.theta, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("settings", [{}, {"optimizer": "adam"}, {"shuffle": False}, {"class_weights": "balanced"}])
def test_what_fits_into_half_the_memory_gives_the_numbers_of_arrays(settings):
    X, y = rows()
    assert fitted(mbbp.chunks(X, y), **settings).theta.tobytes() == fitted(X.T, y, **settings).theta.tobytes()


def test_the_training_cost_is_the_mean_over_the_steps():
    """At a rate of 0, it is the cost of the network, and so is that of chunks for validation."""
    X, y = rows()
    data = mbbp.chunks(X, y, memory=SMALL)
    with pytest.warns(UserWarning, match="learning_rate: it is 0"):
        net = fitted(data, learning_rate=lambda epoch: 0.0, epochs=1, validation_data=data)
    (row,) = net.history
    for prefix in ("training", "validation"):
        np.testing.assert_allclose(getattr(row, f"{prefix}_cost"), net.cost(X.T, y), rtol=1e-5)
        assert getattr(row, f"{prefix}_accuracy") == pytest.approx(net.accuracy(X.T, y), abs=1e-12)
    assert row.gradient_norm > 0

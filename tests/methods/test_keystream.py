"""Random bits for dp_sgd, and the examples that are drawn with them."""

import math
import sys

import numpy as np
import pytest
import scipy.stats
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from mbbp.methods.keystream import Keystream

KEY = bytes(range(32))


class Bits:
    """A stream of given words."""

    def __init__(self, *words):
        self.words = words

    def fill(self, out):
        out[...] = np.resize(np.array(self.words, out.dtype), out.shape)


def test_its_bits_are_those_of_aes_in_counter_mode():
    cipher = Cipher(algorithms.AES(KEY), modes.CTR(bytes(16))).encryptor()
    expected = np.frombuffer(cipher.update(bytes(1000)), np.uint8)
    stream, at = Keystream(KEY), 0
    for count, dtype in ((3, np.uint64), (1, np.uint8), (100, np.uint32), (7, np.uint64), (2, np.uint32)):
        out = np.full(count + 1, 77, dtype)
        stream.fill(out[:count])  # what comes later goes on
        assert out[count] == 77
        assert out[:count].tobytes() == expected[at : at + out[:count].nbytes].tobytes()
        at += out[:count].nbytes


def test_counter_mode_gives_the_blocks_of_the_standard():
    """AES-256 of a block of zeros, with a key of zeros: NIST's known answer."""
    out = np.empty(16, np.uint8)
    Keystream(bytes(32)).fill(out)
    assert out.tobytes().hex() == "dc95c078a2408989ad48a21492842087"


def test_two_streams_differ():
    found = []
    for _ in range(2):
        out = np.empty(4, np.uint64)
        Keystream().fill(out)
        found.append(out.tobytes())
    assert found[0] != found[1]


def test_uniform_numbers():
    found = Keystream(KEY).uniform(100_000)
    assert scipy.stats.kstest(found, "uniform").pvalue > 1e-3
    for word, extreme in ((0, 2.0**-53), (2**64 - 1, 1.0 - 2.0**-53)):  # neither 0 nor 1
        stream = Keystream(KEY)
        stream.fill = Bits(word).fill
        assert stream.uniform(1)[0] == extreme
        assert 0 < extreme < 1


@pytest.mark.parametrize("probability", [0.003, 0.2, 0.5, 0.97, 1 - 1e-12])
def test_each_trial_succeeds_with_its_probability(probability):
    n, runs = 500, 400
    stream = Keystream(KEY)
    counts, sizes = np.zeros(n, np.int64), []
    for _ in range(runs):
        found = stream.chosen(n, probability)
        assert (np.diff(found) > 0).all()
        assert found.dtype == np.int64
        counts[found] += 1
        sizes.append(found.size)
    total = int(counts.sum())
    assert scipy.stats.binomtest(total, n * runs, probability).pvalue > 1e-3
    if n * runs * (1 - probability) < 1:
        return
    # no trial is favoured, the first and the last ones neither; how many succeed is binomial too
    for part in (counts[:20], counts[-20:], counts[::7]):
        assert scipy.stats.binomtest(int(part.sum()), part.size * runs, probability).pvalue > 1e-3
    variance = n * probability * (1 - probability)
    assert np.var(sizes) == pytest.approx(variance, rel=5 * math.sqrt(2 / runs))
    expected = runs * probability * (1 - probability)
    assert np.var(counts) == pytest.approx(expected, rel=5 * math.sqrt(2 / n) + 0.02)


def test_gaps_are_geometric_and_independent():
    probability, n = 0.1, 1_000_000
    gaps = np.diff(Keystream(KEY).chosen(n, probability)) - 1
    assert gaps.size > 90_000
    most = 40
    seen = np.bincount(np.minimum(gaps, most), minlength=most + 1)
    expected = probability * (1 - probability) ** np.arange(most)
    expected = np.append(expected, (1 - probability) ** most) * gaps.size
    assert scipy.stats.chisquare(seen, expected).pvalue > 1e-3
    for lag in (1, 2):
        correlation = np.corrcoef(gaps[lag:], gaps[:-lag])[0, 1]
        assert abs(correlation) < 5 / math.sqrt(gaps.size)


def test_two_draws_are_independent():
    stream, n, probability = Keystream(KEY), 200_000, 0.3
    first, second = (np.isin(np.arange(n), stream.chosen(n, probability)) for _ in range(2))
    both = int((first & second).sum())
    assert scipy.stats.binomtest(both, n, probability**2).pvalue > 1e-3


def test_probabilities_at_the_ends():
    stream = Keystream(KEY)
    np.testing.assert_array_equal(stream.chosen(7, 1.0), np.arange(7))
    for tiny in (1e-12, 2.0**-63):
        assert stream.chosen(1000, tiny).size == 0
    assert stream.chosen(1, 0.5).size in (0, 1)
    hits = [stream.chosen(1, 0.5).size for _ in range(2000)]
    assert scipy.stats.binomtest(sum(hits), 2000, 0.5).pvalue > 1e-3


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers", None)
    with pytest.raises(ImportError, match="dp_sgd: needs cryptography; pip install cryptography"):
        Keystream()

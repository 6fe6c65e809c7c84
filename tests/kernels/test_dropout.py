"""The kernels of dropout against their NumPy twin, bit for bit, and how random the masks are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbbp.kernels.dropout import Dropping, drop, drop_in_place
from mbbp.kernels.lowlevel.threefry import ROUNDS
from mbbp.reference.dropout import dropout_mask, threefry
from tests.conftest import JIT
from tests.kernels.matrices import InMemory, dtypes, orders, seeds, widths

ONES, KEY_OF_PI, COUNTER_OF_PI = (0xFFFFFFFF,) * 2, (0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3)
STEPS = st.integers(0, 2**33)
rates = st.sampled_from([0.0, 1e-12, 0.1, 0.5, 0.9, 1 - 2**-53])


@pytest.mark.parametrize(
    ("rounds", "key", "counter", "words"),
    [
        (20, (0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        (20, ONES, ONES, (0x1CB996FC, 0xBB002BE7)),
        (20, KEY_OF_PI, COUNTER_OF_PI, (0xC4923A9C, 0x483DF7A0)),
        (13, (0, 0), (0, 0), (0x9D1C5EC6, 0x8BD50731)),
        (13, ONES, ONES, (0xFD36D048, 0x2D17272C)),
        (13, KEY_OF_PI, COUNTER_OF_PI, (0xBA3E4725, 0xF27D669E)),
    ],
)
def test_the_twin_gives_the_words_of_its_authors(rounds, key, counter, words):
    found = threefry(key, counter, rounds)
    assert tuple(int(word[0]) for word in found) == words
    assert ROUNDS == 13


def dropped(kernel, x, order, start, **decided):
    """Return what a kernel makes of a matrix whose first example has this place in the mini-batch."""
    n, m = x.shape
    source, target = x.copy(), np.full_like(x, 7.0)
    whole, out = InMemory(source, order), InMemory(target, order)
    memory = {"source": whole.vector, "target": out.vector if kernel is drop else whole.vector}
    places = {"n": n, "rs": whole.rs, "cs": whole.cs, "start": start, "stop": start + m}
    kernel.run(Dropping(**memory, **places, **decided), x.dtype)
    whole.take_back()
    out.take_back()
    if kernel is drop:
        np.testing.assert_array_equal(source, x)
        return target
    return source


@pytest.mark.parametrize("kernel", [drop, drop_in_place], ids=["apart", "in place"])
@given(
    n=widths, m=widths, start=st.integers(0, 9), order=orders, dtype=dtypes, rate=rates, seed=seeds, step=STEPS,
    layer=st.integers(0, 5),
)  # fmt: skip
def test_a_stretch_of_examples_is_that_of_the_mask(kernel, n, m, start, order, dtype, rate, seed, step, layer):
    x = np.random.default_rng(seed).standard_normal((n, m)).astype(dtype)
    mask = dropout_mask(rate, seed, layer, step, n, start + m)[:, start:].astype(dtype)
    found = dropped(kernel, x, order, start, rate=rate, seed=seed, layer=layer, step=step)
    np.testing.assert_array_equal(found, x * mask)


def test_the_mask_of_fewer_examples_is_the_beginning_of_that_of_more():
    many = dropout_mask(0.5, 1, 2, 3, 7, 12)
    for m in range(1, 12):
        np.testing.assert_array_equal(dropout_mask(0.5, 1, 2, 3, 7, m), many[:, :m])


def test_nan_and_inf_do_not_disappear():
    x = np.full((40, 8), np.nan)
    assert np.isnan(dropped(drop, x, "columns", 0, rate=0.5, seed=1, layer=0, step=0)).all()


N = 1 << 18  # numbers; the standard deviation of a share or a correlation of so many is at most 0.002


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_the_share_that_is_kept(rate):
    mask = dropout_mask(rate, 3, 1, 5, 512, N // 512)
    assert (mask > 0).mean() == pytest.approx(1 - rate, abs=5 * np.sqrt(rate * (1 - rate) / N))
    assert set(np.unique(mask)) == {0.0, 1 / (1 - rate)}
    for axis in (0, 1):  # no neuron and no example is favoured
        spread = (mask > 0).mean(axis=axis).std()
        assert spread == pytest.approx(np.sqrt(rate * (1 - rate) / 512), rel=0.2)


def test_masks_are_not_correlated():
    def mask(seed=3, layer=1, step=5):
        return dropout_mask(0.5, seed, layer, step, 512, N // 512) - 1.0  # of mean 0 and variance 1

    base = mask()
    others = {
        "the next neuron": np.roll(base, 1, axis=0),
        "the next example": np.roll(base, 1, axis=1),
        "the next but one": np.roll(base, 2, axis=1),
        "the next step": mask(step=6),
        "the next layer": mask(layer=2),
        "the next seed": mask(seed=4),
        "layer and step exchanged": mask(layer=5, step=1),
    }
    for name, other in others.items():
        assert abs((base * other).mean()) < 5 / np.sqrt(N), name


@pytest.mark.skipif(not JIT, reason="nothing is compiled")
def test_the_loops_use_vectors():
    for kernel in (drop, drop_in_place):
        text = kernel.compile(np.dtype(np.float32), is_cached=False).inspect_llvm()
        assert "x i32> @llvm.fshl" in text, kernel.name

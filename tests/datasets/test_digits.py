"""The digits that are part of the package."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

import mbbp
from mbbp import datasets
from mbbp.datasets import load_digits

PACKAGE = Path(datasets.__file__).parent


def test_digits_have_the_documented_shapes_and_layout():
    data = load_digits()
    assert data.x_train.shape == (64, 1437)
    assert data.x_test.shape == (64, 360)
    assert data.y_train.shape == (1437,)
    assert data.y_test.shape == (360,)
    assert data.x_train.dtype == data.x_test.dtype == np.float32
    assert data.y_train.dtype == data.y_test.dtype == np.int64
    assert data.x_train.flags.f_contiguous
    assert data.x_test.flags.f_contiguous
    assert data.x_train.min() == 0
    assert data.x_train.max() == 1
    assert data.classes == tuple("0123456789")
    assert (data.n_inputs, data.n_outputs) == (64, 10)


def test_digits_are_the_uci_images_every_fifth_held_out():
    data = load_digits("float64")
    assert data.x_train.dtype == np.float64
    rows, labels = np.empty((1797, 64)), np.empty(1797, np.int64)
    test = np.arange(0, 1797, 5)
    train = np.setdiff1d(np.arange(1797), test)
    rows[train], rows[test] = data.x_train.T, data.x_test.T
    labels[train], labels[test] = data.y_train, data.y_test
    images = (rows * 16).astype(np.uint8)
    assert images.sum() == 561718
    assert (
        hashlib.sha256(images.tobytes()).hexdigest()
        == "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3"
    )
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (
        hashlib.sha256(labels.astype(np.uint8).tobytes()).hexdigest()
        == "8ba4f891220f5e4c9c819638d1602d74b83618f167043c6da52a2a247841ddf0"
    )


def test_digits_are_new_arrays_at_each_call():
    load_digits().x_train[:] = 7
    assert load_digits().x_train.max() == 1


def test_the_licence_of_the_digits_is_in_the_package():
    text = (PACKAGE / "digits.LICENSE.txt").read_text()
    for needed in ("Alpaydin", "Kaynak", "1998", "10.24432/C50P49", "CC BY 4.0"):
        assert needed in text


@pytest.mark.parametrize("dtype", ["float16", "int32", "no such type", None, np.dtype("c8")])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(ValueError, match="dtype: expected "):
        load_digits(dtype)


@pytest.mark.parametrize("dtype", ["float64", np.float64, np.dtype("f8")])
def test_a_dtype_may_be_given_as_in_numpy(dtype):
    assert load_digits(dtype).x_train.dtype == np.float64


@pytest.mark.parametrize("dtype", ["uint8", np.uint8, np.dtype("u1")])
def test_pixels_and_their_scaling_are_the_same_as_scaled_pixels(dtype):
    pixels, numbers = load_digits(dtype), load_digits()
    assert pixels.x_train.dtype == pixels.x_test.dtype == np.uint8
    assert pixels.x_train.flags.f_contiguous
    assert (pixels.scaling, numbers.scaling) == (1 / 16, None)
    nets = [mbbp.Network([64, 5, 10], rng=0, scaling=data.scaling) for data in (pixels, numbers)]
    for net, data in zip(nets, (pixels, numbers), strict=True):
        net.fit(data.x_train, data.y_train, epochs=2, validation_data=(data.x_test, data.y_test))
    assert nets[0].theta.tobytes() == nets[1].theta.tobytes()

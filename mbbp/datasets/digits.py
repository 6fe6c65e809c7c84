"""The digits of 8 x 8 pixels, which are part of the package: no other file and no internet connection is needed."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
from numpy.typing import DTypeLike

from mbbp.datasets.dataset import Dataset
from mbbp.datasets.prepare import image_columns, image_dtype, image_scaling

DIGITS = tuple("0123456789")
LARGEST = 16  # a pixel is the number of black points in a 4 x 4 block of the original bitmap


def load_digits(dtype: DTypeLike = "float32") -> Dataset:
    """Load 1,797 handwritten digits of 8 x 8 pixels.

    The data are *Optical Recognition of Handwritten Digits* by E. Alpaydin and C. Kaynak (UCI, 1998). The licence is
    CC BY 4.0; see ``digits.LICENSE.txt`` beside this file. The split is fixed: every fifth image is a test example.

    Parameters
    ----------
    dtype : {"float32", "float64", "uint8"}
        The type of the inputs.

    Returns
    -------
    Dataset
        `x_train` (64, 1437) and `x_test` (64, 360) hold pixels from 0 (no ink) to 1, or in uint8 to 16: then `scaling`
        is 1/16, for ``Network(scaling=data.scaling)``. `y_train` and `y_test` hold the digits.

    Raises
    ------
    ValueError
        If `dtype` is another one.

    Examples
    --------
    >>> data = load_digits()
    >>> data.x_train.shape, data.y_train[:4].tolist()
    ((64, 1437), [1, 2, 3, 4])
    """
    found = image_dtype(dtype)
    with files(__package__).joinpath("digits.npz").open("rb") as file, np.load(file) as archive:
        images, labels = archive["images"], archive["labels"].astype(np.int64)
    is_test = np.arange(len(images)) % 5 == 0
    return Dataset(
        name="digits",
        x_train=image_columns(images[~is_test], LARGEST, found),
        y_train=labels[~is_test],
        x_test=image_columns(images[is_test], LARGEST, found),
        y_test=labels[is_test],
        classes=DIGITS,
        scaling=image_scaling(LARGEST, found),
    )

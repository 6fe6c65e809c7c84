"""What the compiled code and the lists of pairs need to know of one of the book's networks."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from mbbp.parameters import Array


class HasParameters(Protocol):
    """A network that keeps its parameters as the book does: in a list of weights and a list of biases.

    Attributes
    ----------
    weights, biases : list of ndarray
        Of shapes (n_l, n_{l-1}) and (n_l, 1), for the layers from the second on.
    dtype : dtype
        The dtype of the parameters and of all computations.
    """

    weights: list[Array]
    biases: list[Array]
    dtype: np.dtype[Any]

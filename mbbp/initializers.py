"""The initializers: how the weights and biases are drawn before training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mbbp.parameters import Array
from mbbp.validation import refuse_unknown

Initializer = Callable[[np.random.Generator, int, int], tuple[Array, Array]]


def default(rng: np.random.Generator, n_in: int, n_out: int) -> tuple[Array, Array]:
    """Draw weights from N(0, 1/n_in) and biases from N(0, 1).

    This is the book's default in chapter 3. The weighted input of a neuron is of order 1 for any number of inputs, so
    the neuron is not saturated at the start.

    Parameters
    ----------
    rng : numpy.random.Generator
        The source of the random numbers.
    n_in, n_out : int
        The number of inputs and of neurons of the layer.

    Returns
    -------
    W, b : ndarray of shapes (n_out, n_in), (n_out, 1)
    """
    b = rng.standard_normal((n_out, 1))
    return rng.standard_normal((n_out, n_in)) / np.sqrt(n_in), b


def large(rng: np.random.Generator, n_in: int, n_out: int) -> tuple[Array, Array]:
    """Draw weights and biases from N(0, 1), as in the book's chapter 1: many neurons are saturated at the start."""
    b = rng.standard_normal((n_out, 1))
    return rng.standard_normal((n_out, n_in)), b


def glorot(rng: np.random.Generator, n_in: int, n_out: int) -> tuple[Array, Array]:
    """Draw weights uniformly within sqrt(6 / (n_in + n_out)), biases 0 (Glorot and Bengio 2010, eq. 16): for tanh."""
    limit = np.sqrt(6.0 / (n_in + n_out))
    return rng.uniform(-limit, limit, (n_out, n_in)), np.zeros((n_out, 1))


def he(rng: np.random.Generator, n_in: int, n_out: int) -> tuple[Array, Array]:
    """Draw weights from N(0, 2/n_in), biases 0 (He, Zhang, Ren and Sun 2015, eq. 10): for relu."""
    return rng.standard_normal((n_out, n_in)) * np.sqrt(2.0 / n_in), np.zeros((n_out, 1))


def nguyen_widrow(rng: np.random.Generator, n_in: int, n_out: int) -> tuple[Array, Array]:
    """Draw weights of one length and spread the biases evenly: for tanh, and inputs from -1 to 1.

    So the regions in which the neurons are not saturated are spread evenly over the inputs (D. Nguyen and B. Widrow,
    *Improving the learning speed of 2-layer neural networks by choosing initial values of the adaptive weights*, 1990).
    With levenberg_marquardt, few other choices matter as much.
    """
    W = rng.uniform(-1.0, 1.0, (n_out, n_in))
    if n_out == 1:  # there is no region to spread over
        return W, rng.uniform(-1.0, 1.0, (1, 1))
    length = 0.7 * n_out ** (1.0 / n_in)
    W *= length / np.linalg.norm(W, axis=1, keepdims=True)
    b = length * np.linspace(-1.0, 1.0, n_out) * np.sign(W[:, 0])
    return W, b.reshape(-1, 1)


INITIALIZERS: dict[str, Initializer] = {f.__name__: f for f in (default, large, glorot, he, nguyen_widrow)}


def get_initializer(initializer: str | Initializer) -> Initializer:
    """Return the initializer with this name, or the given function.

    Raises
    ------
    ValueError
        If no initializer has this name.
    TypeError
        If it is neither a name nor a function.
    """
    if callable(initializer):
        return initializer
    if not isinstance(initializer, str):
        raise TypeError(f"initializer: expected a name or a function (rng, n_in, n_out), got {initializer!r}")
    if initializer not in INITIALIZERS:
        refuse_unknown("initializer", initializer, INITIALIZERS)
    return INITIALIZERS[initializer]

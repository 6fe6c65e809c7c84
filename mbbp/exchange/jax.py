"""Networks as a pure function of JAX and its parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mbbp.exchange.plain import plain
from mbbp.extras import load_extra
from mbbp.network import Network

Params = list[dict[str, Any]]


def to_jax(net: Network) -> tuple[Params, Callable[[Params, Any], Any]]:
    """Return a network as parameters and a pure function of JAX.

    Parameters
    ----------
    net : Network
        Its activations must be built-in ones.

    Returns
    -------
    params : list of dict
        For each computing layer ``{"W": (n_out, n_in), "b": (n_out,)}``, in the dtype of the network: a pytree of
        copies.
    function : callable
        ``function(params, x)`` returns the outputs (m, n_out) for inputs x of shape (m, n_in), one example per **row**,
        as in other programs; or (n_out,) for a single example (n_in,). `jax.jit`, `jax.grad` and `jax.vmap` work on it.
        The scaling of the inputs is inside. It has no dropout: that belongs to a training.

    Raises
    ------
    ValueError
        If the network is one of float64 and JAX is not set to compute in it; or if it has custom activations, its
        scaling has not been learnt yet, or its parameters hold NaN or inf.
    TypeError
        If it is no network.
    RuntimeError
        If another thread is training the network.
    ImportError
        If JAX is not installed.

    Notes
    -----
    The outputs are those of `Network.feedforward` up to rounding, in the targets' own units. Without
    ``jax.config.update("jax_enable_x64", True)``, JAX computes in float32 whatever it is given.
    """
    parts = plain(net, "to_jax")
    jax = load_extra("to_jax", "jax")
    jnp = load_extra("to_jax", "jax.numpy")
    if parts.dtype == np.float64 and not jax.config.jax_enable_x64:
        raise ValueError(
            "net: expected a network of float32 for to_jax, got float64, which JAX would round to float32; call "
            'jax.config.update("jax_enable_x64", True) first'
        )
    params = [{"W": jnp.array(layer.W), "b": jnp.array(layer.b)} for layer in parts.layers]
    functions = [_functions(jax, jnp)[layer.activation] for layer in parts.layers]
    # in the network's dtype, as mbbp scales inputs of this dtype
    mean, factor = (None if one is None else jnp.array(one.astype(parts.dtype)) for one in (parts.mean, parts.factor))

    def function(params: Params, x: Any) -> Any:
        """Return the outputs (m, n_out) for rows of inputs (m, n_in)."""
        a = jnp.asarray(x, dtype=params[0]["W"].dtype)
        a = a if mean is None else a - mean
        a = a if factor is None else a * factor
        for layer, activation in zip(params, functions, strict=True):
            # in full precision also where a processor multiplies faster with less
            a = activation(jnp.matmul(a, layer["W"].T, precision="highest") + layer["b"])
        return a

    return params, function


def _functions(jax: Any, jnp: Any) -> dict[str, Callable[[Any], Any]]:
    nn = jax.nn

    def gelu(z: Any) -> Any:
        # Phi from its smaller tail: 1 + erf would lose its digits
        return 0.5 * z * jax.scipy.special.erfc(-z * np.asarray(0.5**0.5, z.dtype))

    return {
        "sigmoid": nn.sigmoid,
        "tanh": jnp.tanh,
        "relu": nn.relu,
        "leaky_relu": lambda z: nn.leaky_relu(z, 0.01),
        "gelu": gelu,
        "silu": nn.silu,
        "elu": nn.elu,
        "softplus": nn.softplus,
        "identity": lambda z: z,
        "exp": jnp.exp,
        "softmax": lambda z: nn.softmax(z, axis=-1),
    }

"""All that Numba compiles.

`sigmoid`, `sigmoid_prime` and `hadamard` are public. They take NumPy arrays of any shape, and can be called from Python
and from Numba code. Everything else is internal: it works on memory that the floors above have checked, and checks
nothing.
"""

from mbbp.kernels.elementwise import hadamard, sigmoid, sigmoid_prime

__all__ = ["hadamard", "sigmoid", "sigmoid_prime"]

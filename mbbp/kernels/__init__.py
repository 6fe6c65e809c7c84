"""All that Numba compiles.

`sigmoid`, `sigmoid_prime` and `hadamard` are public: NumPy arrays of any shape go in, from Python or from jitted code.
Everything else is the engine's own, works on buffers that the floors above have checked, and checks nothing.
"""

from mbbp.kernels.elementwise import hadamard, sigmoid, sigmoid_prime

__all__ = ["hadamard", "sigmoid", "sigmoid_prime"]

"""The numbers by which the compiled code knows activations, costs and optimizers."""

import numpy as np

SIGMOID, TANH, RELU, LEAKY_RELU, IDENTITY, SOFTMAX = range(6)
QUADRATIC, CROSS_ENTROPY, LOG_LIKELIHOOD = range(3)
OWN = -1  # the user's own: called by its address

SGD, MOMENTUM, NESTEROV, ADAM = range(4)

# Numba compiles a function once more for every literal that it is called with; to it, these are not literals.
ZERO, ONE = np.int64(0), np.int64(1)

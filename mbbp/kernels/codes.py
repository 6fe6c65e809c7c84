"""The numbers by which the compiled code knows activations, costs and optimizers."""

SIGMOID, TANH, RELU, LEAKY_RELU, IDENTITY, SOFTMAX = range(6)
QUADRATIC, CROSS_ENTROPY, LOG_LIKELIHOOD = range(3)
OWN = -1  # the user's own: called by its address

SGD, MOMENTUM, NESTEROV, ADAM = range(4)

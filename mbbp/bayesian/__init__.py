"""How sure a trained network is: the Laplace approximation of the posterior of its parameters."""

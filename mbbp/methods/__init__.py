"""How the parameters change in an epoch: by mini-batches, or by a method that needs more than a gradient."""

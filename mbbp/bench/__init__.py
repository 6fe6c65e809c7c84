"""The comparison of per-example and matrix-based backpropagation: the command ``mbbp bench``."""

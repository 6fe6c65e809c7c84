"""Data that need not fit into memory: where they come from, the first pass over them, and the pools of a training."""

"""A network as one C header: what `mbbp.to_c` writes."""

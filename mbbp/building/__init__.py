"""Wheels with compiled kernels: `hook` is called by the build backend, `libraries` compiles and links."""

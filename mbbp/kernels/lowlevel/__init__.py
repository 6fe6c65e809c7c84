"""Every private or unusual use of Numba, and nothing else.

- `compiling`: the decorators that compile
- `cache`: the cache of compiled code on disk
- `events`: the line that tells a person what the wait is for
- `processor`: what the processor has that is compiled for
- `records`: kernels that are called by their address, and the typed records that they are called with
- `vectors`: work on vector registers, written as LLVM IR
- `views`: arrays made of an address and a shape
- `scalars`: a user's scalar functions, compiled so that they run in vector lanes
- `atomics`: how threads tell each other where they are
- `bits`: floating-point numbers made of their bits
"""

"""Every private or unusual use of Numba, and nothing else.

Declared, without Numba:

- `compiling`: the decorators that say what is compiled
- `records`: the typed records that kernels are called with
- `kernel`: kernels that are called by their address, and `calls`, how compiled code calls them
- `prebuilt`: the libraries of kernels that come with the package
- `processor`: what the processor has that is compiled for
- `known`: Python functions that a user's jitted code can call, too
- `later`: Numba's modules, imported when they are first used

What decorated functions are made of:

- `vectors`: work on vector registers, written as LLVM IR
- `views`: arrays made of an address and a shape
- `prefetch`: memory asked for before it is needed
- `atomics`: how threads tell each other where they are
- `bits`: floating-point numbers made of their bits
- `tuples`: tuples of numbers

Compiling, which imports Numba:

- `jit`: what the decorators have noted is done
- `cache`: the cache of compiled code on disk
- `emit`: object code for a library
- `events`: the line that tells a person what the wait is for
- `scalars`: a user's scalar functions, compiled so that they run in vector lanes
- `failures`: whether compiled code can raise an error
- `freezing`: a user's function with the values of all names in it
"""

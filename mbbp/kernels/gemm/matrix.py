"""A matrix in memory, and its two orders.

A mini-batch is a column-stacked matrix (n, m): a row for each neuron, a column for each example. It can lie in memory
in two orders, and the engine uses both:

    columns contiguous                             rows contiguous
    an example's neurons are neighbours            a neuron's examples are neighbours
    (0,0) (1,0) (2,0) | (0,1) (1,1) (2,1) | ...    (0,0) (0,1) ... (0,m-1) | (1,0) (1,1) ... (1,m-1) | ...

A vector register takes neighbours. With contiguous columns it holds some neurons of one example, so a layer of two
neurons fills two lanes of eight. With contiguous rows it holds one neuron's activations for eight examples, and all
lanes work. So a layer that is narrower than a register has contiguous rows, if the mini-batch is not narrower still;
`rows_are_contiguous` is the rule. In all other layers columns are contiguous. They are in the inputs too, because that
is how examples are copied into the mini-batch.

The products are written for either order of each of their matrices (see products.py). A product has the same bits in
either order, because each of its numbers is the same chain of multiply-adds.
"""

from typing import NamedTuple

from mbbp.kernels.lowlevel.compiling import ONE, inlined, shared
from mbbp.kernels.lowlevel.records import Int, Numbers
from mbbp.kernels.lowlevel.views import rest


class Matrix(NamedTuple):
    """A matrix (n, m): number (j, i) is numbers[j rs + i cs]. One of the two strides is 1."""

    numbers: Numbers
    n: Int
    m: Int
    rs: Int
    cs: Int


@shared
def rows_are_contiguous(n, m, lanes):
    """Return whether a layer of n neurons has contiguous rows for m examples, if a register holds so many lanes."""
    return n == 1 or (n < lanes and m >= lanes)


@inlined
def transposed(A):
    """Return the transpose of a matrix: the same numbers in memory."""
    return Matrix(numbers=A.numbers, n=A.m, m=A.n, rs=A.cs, cs=A.rs)


@inlined
def by_columns(numbers, start, n, m):
    """Return the numbers from `start` on as an (n, m) matrix whose columns are contiguous."""
    return Matrix(numbers=rest(numbers, start), n=n, m=m, rs=ONE, cs=n)


@inlined
def by_rows(numbers, start, n, m):
    """Return the numbers from `start` on as an (n, m) matrix whose rows are contiguous."""
    return Matrix(numbers=rest(numbers, start), n=n, m=m, rs=m, cs=ONE)


@inlined
def columns(A, start, stop):
    """Return the columns from `start` to `stop` of a matrix."""
    return Matrix(numbers=rest(A.numbers, start * A.cs), n=A.n, m=stop - start, rs=A.rs, cs=A.cs)


@inlined
def stretches(A):
    """Return how many stretches of neighbours hold the numbers of a matrix, and their length; they begin at k rs."""
    if A.cs == 1 and A.rs != A.m:
        return A.n, A.m
    return ONE, A.n * A.m


@inlined
def layer_matrix(numbers, start, n, m, lanes):
    """Return the numbers from `start` on as the (n, m) matrix of a layer, in the order that such a layer has."""
    if rows_are_contiguous(n, m, lanes):
        return by_rows(numbers, start, n, m)
    return by_columns(numbers, start, n, m)

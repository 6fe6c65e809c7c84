"""The examples in memory, and how a mini-batch of them is gathered into the workspace."""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

from mbbp.kernels.finite import all_finite
from mbbp.kernels.gemm.matrix import columns, layer_matrix, stretches
from mbbp.kernels.labels import label_at
from mbbp.kernels.lowlevel.calls import call, typed
from mbbp.kernels.lowlevel.compiling import ZERO, inlined
from mbbp.kernels.lowlevel.kernel import Kernel, kernel
from mbbp.kernels.lowlevel.prefetch import LINE_SIZE, prefetch
from mbbp.kernels.lowlevel.records import Address, Bytes, Int, Integers, Numbers, Placed, PointerTo, record
from mbbp.kernels.lowlevel.views import part, rest
from mbbp.parameters import Array

# The dtypes that are gathered from where they are. Others are converted before.
INPUT_CODES = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")
INPUT_DTYPES = frozenset(np.dtype(code).str for code in ("?", *INPUT_CODES))

# How far ahead examples are asked for, measured. A core keeps track of some 20 cache lines at a time, and forgets what
# it is asked for beyond these. Of a wide row it needs only the beginning: then it goes on by itself.
AT_ONCE = 2  # examples
LINES_AHEAD = 32
LEAST_AHEAD, MOST_AHEAD = 2, 8  # examples
NEAR = 1 << 20  # bytes: data in a near cache are not asked for, since asking takes time
MOST_BYTES = 16 * LINE_SIZE  # of the inputs of an example


class Scale(Protocol):
    """How inputs are scaled: (x - mean) * factor. `mbbp.Scaling` is one."""

    @property
    def mean(self) -> Array | None:
        """The mean of each feature, (n_in,); None for 0."""

    @property
    def factor(self) -> Array:
        """One factor, (1,), or one for each feature, (n_in,)."""


class SparseRows(NamedTuple):
    """Inputs (n, n_in) of which only those that are not 0 are stored, row after row (the format CSR)."""

    values: Array  # of float32 or float64
    places: Array  # int64: where each row begins in `places` itself, and where the last one ends; then all columns
    shape: tuple[int, int]

    @classmethod
    def of(cls, values: Array, columns: Array, starts: Array, n_in: int) -> "SparseRows":
        """Return the rows for the three arrays of the format: row i has the values starts[i] to starts[i + 1]."""
        places = np.concatenate([starts.astype(np.int64) + len(starts), columns.astype(np.int64)])
        return cls(values, places, (len(starts) - 1, n_in))


class Examples(NamedTuple):
    """Examples: of each array, one row an example, in C order."""

    inputs: Any  # (n, n_in): an array of one of INPUT_DTYPES, or SparseRows
    targets: Array  # (n, n_L); or (0, n_L) where they are the unit vectors of the labels
    labels: Array  # (n,); or (0,) where the targets name no classes
    weights: Array  # (n,): the factor of each example's cost; or (0,) where every example counts alike
    scaling: Scale | None = None  # of the inputs

    @property
    def n(self) -> int:
        """How many examples there are."""
        return int(self.inputs.shape[0])


@record
class Inputs(NamedTuple):
    """Inputs, and how they become the numbers that the network computes with."""

    values: Bytes  # (n, n_in)
    scaling: Bytes  # the numbers that the gather kernel scales with
    row_size: Int  # bytes of an example
    ahead: Int  # how many examples before it is copied each one is asked for; 0 for not at all
    gather: Address  # of the kernel that copies them; 0 if they need no change and are read where they are


@record
class Source(NamedTuple):
    """Examples as the kernels take them."""

    inputs: Inputs
    targets: Numbers  # not read where there are labels
    labels: Bytes  # of uint8 or int64
    weights: Numbers
    has_labels: Int
    has_small_labels: Int  # whether they are uint8
    gather_targets: Address  # the kernel


@record
class Rows(NamedTuple):
    """Some rows of the inputs, and where they are to be copied to, side by side."""

    values: Bytes
    scaling: Bytes
    order: Integers  # which rows
    n_in: Int
    out: Numbers
    start: Int  # the first entry of `order` that is meant, and its place in `out`
    stop: Int  # the one after the last


# A gather kernel is made for the dtype of the inputs and for `wide`, the dtype of the arithmetic: that of the network,
# or a wider one that holds the inputs exactly, so that large numbers with small differences keep their differences.


def _copying(dtype: Any, wide: Any) -> Callable[[Any], Any]:
    def gather_copied(at: Any) -> Any:
        rows = at[0]
        n_in, values = rows.n_in, typed(rows.values, dtype)
        for i in range(rows.start, rows.stop):
            source, out = part(values, rows.order[i] * n_in, n_in), part(rows.out, i * n_in, n_in)
            for j in range(n_in):
                out[j] = source[j]
        return ZERO

    return gather_copied


def _multiplying(dtype: Any, wide: Any) -> Callable[[Any], Any]:
    def gather_multiplied(at: Any) -> Any:
        rows = at[0]
        n_in, values = rows.n_in, typed(rows.values, dtype)
        factor = typed(rows.scaling, wide)[0]
        for i in range(rows.start, rows.stop):
            source, out = part(values, rows.order[i] * n_in, n_in), part(rows.out, i * n_in, n_in)
            for j in range(n_in):
                out[j] = wide(source[j]) * factor
        return ZERO

    return gather_multiplied


def _standardizing(dtype: Any, wide: Any) -> Callable[[Any], Any]:
    def gather_standardized(at: Any) -> Any:
        rows = at[0]
        n_in, values = rows.n_in, typed(rows.values, dtype)
        scaling = typed(rows.scaling, wide)
        mean, factor = part(scaling, ZERO, n_in), part(scaling, n_in, n_in)
        for i in range(rows.start, rows.stop):
            source, out = part(values, rows.order[i] * n_in, n_in), part(rows.out, i * n_in, n_in)
            for j in range(n_in):
                out[j] = (wide(source[j]) - mean[j]) * factor[j]
        return ZERO

    return gather_standardized


def _spreading(dtype: Any, wide: Any) -> Callable[[Any], Any]:
    def gather_sparse(at: Any) -> Any:
        rows = at[0]
        n_in, values, places = rows.n_in, typed(rows.values, dtype), typed(rows.scaling, np.int64)
        first = places[0]  # of the columns
        for i in range(rows.start, rows.stop):
            row, out = rows.order[i], part(rows.out, i * n_in, n_in)
            for j in range(n_in):
                out[j] = 0
            for k in range(places[row], places[row + 1]):
                out[places[k]] = values[k - first]
        return ZERO

    return gather_sparse


@functools.cache
def _gather(make: Callable[[Any, Any], Callable[[Any], Any]], values: np.dtype[Any], dtype: np.dtype[Any]) -> Kernel:
    function = make(values.type, np.result_type(values, dtype).type)
    return Kernel(function, Rows, name=f"{function.__name__}_{values.name}")


def all_gather_kernels(dtype: np.dtype[Any]) -> Iterator[Kernel]:
    """Yield the gather kernels of networks of a dtype, for all dtypes of inputs."""
    for make in (_copying, _multiplying, _standardizing):
        for code in INPUT_CODES:
            yield _gather(make, np.dtype(code), dtype)
    for code in ("f4", "f8"):
        yield _gather(_spreading, np.dtype(code), dtype)


def inputs_of(
    values: Array | SparseRows, scaling: Scale | None, dtype: np.dtype[Any], *, in_place: bool = False
) -> Inputs:
    """Return inputs (n, n_in) as the kernels of a network of this dtype take them.

    With `in_place`, inputs that need no change have no gather kernel. Sparse inputs have no scaling.
    """
    if isinstance(values, SparseRows):
        address = _gather(_spreading, values.values.dtype, dtype).address(dtype)
        return Inputs(values.values, values.places, row_size=0, ahead=0, gather=address)
    row_size = values.shape[1] * values.itemsize
    ahead = max(LEAST_AHEAD, min(MOST_AHEAD, LINES_AHEAD * LINE_SIZE // row_size)) if values.nbytes > NEAR else 0
    if in_place and scaling is None and values.dtype == dtype:
        return Inputs(values.reshape(-1), np.empty(0), row_size, ahead, gather=0)
    values = values.view(np.uint8 if values.dtype == np.bool_ else values.dtype.str)  # numpy has two types of int64
    wide = np.result_type(values.dtype, dtype)
    if scaling is None:
        make, numbers = _copying, np.empty(0)
    elif scaling.mean is None and scaling.factor.size == 1:
        make, numbers = _multiplying, scaling.factor
    else:
        both = (np.zeros(1) if scaling.mean is None else scaling.mean, scaling.factor)
        make, numbers = _standardizing, np.concatenate([np.broadcast_to(one, values.shape[1]) for one in both])
    address = _gather(make, values.dtype, dtype).address(dtype)
    return Inputs(values.reshape(-1), numbers.astype(wide), row_size, ahead, gather=address)


def source_of(examples: Examples, dtype: np.dtype[Any]) -> Placed:
    """Return examples as the kernels of a network of this dtype take them."""
    source = Source(
        inputs=inputs_of(examples.inputs, examples.scaling, dtype),
        targets=examples.targets.reshape(-1),
        labels=examples.labels,
        weights=examples.weights,
        has_labels=int(len(examples.labels) > 0),
        has_small_labels=int(examples.labels.itemsize == 1),
        gather_targets=gather_targets.address(dtype),
    )
    return Placed(source, dtype)


@inlined
def gather_inputs(inputs, order, model, start, stop):
    """Copy inputs to the beginning of the workspace: the rows that `order` names, from its entry `start` to `stop`."""
    rows = Rows(
        values=inputs.values,
        scaling=inputs.scaling,
        order=order,
        n_in=model.layers[0].n_in,
        out=model.work,
        start=start,
        stop=stop,
    )
    call(inputs.gather, rows)


@inlined
def label_of(source, row):
    """Return the label of an example."""
    return label_at(source.labels, source.has_small_labels, row)


@record
class TargetRows(NamedTuple):
    """Targets and weights of the examples from `start` to `stop` of m, and their places in the workspace."""

    source: PointerTo(Source)  # type: ignore[valid-type]
    order: Integers  # (m,): which examples they are
    start: Int
    stop: Int
    m: Int
    n: Int  # of outputs
    lanes: Int  # of a vector register
    is_weighted: Int
    targets: Numbers
    weights: Numbers


@kernel(TargetRows)
def gather_targets(at):
    """Copy targets and weights to the workspace."""
    rows = at[0]
    source, order, start, stop, n = rows.source[0], rows.order, rows.start, rows.stop, rows.n
    Y = columns(layer_matrix(rows.targets, ZERO, n, rows.m, rows.lanes), start, stop)
    of_these = rest(order, start)
    if not source.has_labels:
        for i in range(Y.m):
            target = part(source.targets, of_these[i] * n, n)
            for j in range(n):
                Y.numbers[j * Y.rs + i * Y.cs] = target[j]
    elif n == 1:
        for i in range(Y.m):
            Y.numbers[i] = label_of(source, of_these[i])
    else:  # unit vectors, also where targets are given: they are the same
        count, size = stretches(Y)
        for k in range(count):
            y = part(Y.numbers, k * Y.rs, size)
            for i in range(size):
                y[i] = 0
        for i in range(Y.m):
            Y.numbers[label_of(source, of_these[i]) * Y.rs + i * Y.cs] = 1
    if rows.is_weighted:
        weights, of_all = rows.weights, source.weights
        for i in range(start, stop):
            weights[i] = of_all[order[i]]
    return ZERO


@inlined
def copy_targets(source, order, model, start, stop, m):
    """Call `gather_targets` for the source that a pointer stands for."""
    call(
        source[0].gather_targets,
        TargetRows(
            source=source,
            order=order,
            start=start,
            stop=stop,
            m=m,
            n=model.layers[model.n_layers - 1].n_out,
            lanes=model.lanes,
            is_weighted=model.is_weighted,
            targets=rest(model.work, model.targets),
            weights=rest(model.work, model.weights),
        ),
    )


@inlined
def prefetch_rows(source, order, model, start, stop):
    """Ask for the memory of the examples that `order` names, from its entry `start` to `stop`."""
    inputs, n = source.inputs, model.layers[model.n_layers - 1].n_out
    size = min(inputs.row_size, MOST_BYTES)
    for i in range(start, stop):
        row = order[i]
        first = row * inputs.row_size
        for offset in range(0, size, LINE_SIZE):
            prefetch(inputs.values, first + offset)
        prefetch(inputs.values, first + size - 1)  # a row may end in one line more
        if source.has_small_labels:
            prefetch(source.labels, row)
        elif source.has_labels:
            prefetch(typed(source.labels, np.int64), row)
        else:
            prefetch(source.targets, row * n)
            prefetch(source.targets, row * n + n - 1)
        if model.is_weighted:
            prefetch(source.weights, row)


@inlined
def gather(source, order, model, start, stop, m):
    """Copy a mini-batch to the workspace, and ask for each row some rows before its turn; `source` is a pointer.

    The examples of a shuffled mini-batch lie anywhere in the data. If these are larger than the caches, each row waits
    for the memory, some 100 to 200 ns. The processor looks ahead, but not as far as that.
    """
    inputs = source[0].inputs
    if inputs.ahead:
        for first in range(start, stop, AT_ONCE):
            end = min(first + AT_ONCE, stop)
            prefetch_rows(source[0], order, model, first + inputs.ahead, min(end + inputs.ahead, stop))
            gather_inputs(inputs, order, model, first, end)
    else:
        gather_inputs(inputs, order, model, start, stop)
    copy_targets(source, order, model, start, stop, m)


@inlined
def prefetch_first_rows(source, order, model, start, stop):
    """Ask for the rows of a mini-batch that `gather` does not ask for, because they are its first."""
    prefetch_rows(source, order, model, start, min(stop, start + source.inputs.ahead))


@record
class Inspection(NamedTuple):
    """A search for inputs that are not finite, chunk by chunk."""

    inputs: Inputs
    order: Integers  # (n,): 0, 1, 2, ...
    n: Int
    n_in: Int
    chunk: Int
    work: Numbers  # (chunk * n_in,)


@kernel(Inspection)
def inspect(at):
    """Return 1 if all inputs are finite when they are scaled, else 0."""
    inspection = at[0]
    n_in = inspection.n_in
    for begin in range(0, inspection.n, inspection.chunk):
        m = min(inspection.chunk, inspection.n - begin)
        rows = Rows(
            values=inspection.inputs.values,
            scaling=inspection.inputs.scaling,
            order=rest(inspection.order, begin),
            n_in=n_in,
            out=inspection.work,
            start=ZERO,
            stop=m,
        )
        call(inspection.inputs.gather, rows)
        if not all_finite(part(inspection.work, ZERO, m * n_in)):
            return 0
    return 1

"""The normal equations of least squares, J^T J and J^T r, summed over the examples as the Jacobian is made.

The rows of the Jacobian of some examples, each with its residual at the end, are written to a piece of memory that
stays in a near cache. Their product with themselves has all that is needed: J^T J, J^T r and r^T r. It is symmetric, so
only blocks on the diagonal and above it are computed.
"""

from typing import NamedTuple

from mbbp.kernels.examples import Source
from mbbp.kernels.gemm.blocking import Product
from mbbp.kernels.gemm.tile import NR_VECTORS
from mbbp.kernels.lowlevel.calls import call
from mbbp.kernels.lowlevel.compiling import ONE, ZERO
from mbbp.kernels.lowlevel.kernel import kernel
from mbbp.kernels.lowlevel.records import Address, Int, Integers, Numbers, PointerTo, Reals, record
from mbbp.kernels.lowlevel.views import part, rest
from mbbp.kernels.per_example import Rows
from mbbp.kernels.propagation import Model
from mbbp.kernels.team import Team


@record
class NormalEquations(NamedTuple):
    """Some examples, and the room for the sum over them."""

    model: PointerTo(Model)  # type: ignore[valid-type]
    source: PointerTo(Source)  # type: ignore[valid-type]
    targets: Numbers  # of all examples, (n, n_L)
    order: Integers  # which examples
    start: Int  # the first entry of `order` that is meant, and the one after the last
    stop: Int
    chunk: Int  # how many go through the network together
    at_once: Int  # how many have their rows in memory together
    write_rows: Address
    rows: Numbers  # (n_L at_once, size)
    size: Int  # n_parameters + 1
    block: Numbers  # (size, size)
    panel: Numbers  # for the product
    totals: Reals  # (size, size): receives the sums, in the upper triangle
    team: Team  # of one


@kernel(NormalEquations)
def sum_normal_equations(at):
    """Sum the products of the rows with themselves, those of some examples in the network's dtype, all in float64."""
    e = at[0]
    model, size = e.model[0], e.size
    n_out = model.layers[model.n_layers - 1].n_out
    width = NR_VECTORS * model.lanes  # of a group of columns of the product, as wide as a tile
    totals, zero = part(e.totals, ZERO, size * size), part(e.block, ZERO, ZERO).dtype.type(0)
    for i in range(size * size):
        totals[i] = 0.0
    for begin in range(e.start, e.stop, e.at_once):
        m = min(e.at_once, e.stop - begin)
        call(
            e.write_rows,
            Rows(
                model=e.model,
                source=e.source,
                order=rest(e.order, begin),
                n=m,
                start=ZERO,
                stop=m,
                chunk=e.chunk,
                of_outputs=ONE,
                by_inputs=ZERO,
                out=e.rows,
                stride=size,
                targets=e.targets,
                has_residuals=ONE,
                team=e.team,
            ),
        )
        for first in range(0, size, width):
            n_columns = min(width, size - first)
            out = rest(e.block, first)
            call(
                model.multiply_add,
                Product(
                    a=e.rows,
                    rs_a=ONE,
                    cs_a=size,
                    b=rest(e.rows, first),
                    rs_b=size,
                    cs_b=ONE,
                    start=out,
                    rs_start=size,
                    c=out,
                    rs_c=size,
                    n_rows=first + n_columns,
                    n_columns=n_columns,
                    depth=m * n_out,
                    beta=zero,
                    panel=e.panel,
                ),
            )
        for i in range(size):
            added, row = part(e.block, i * size, size), part(e.totals, i * size, size)
            for j in range(i, size):
                row[j] += added[j]
    return ZERO

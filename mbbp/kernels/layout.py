"""The table of a network: where each layer's parameters, and its z, a and delta, lie in memory.

It is computed once, here, for the sizes of the layers, the largest mini-batch and the number of threads. Kernels read
it; no kernel adds up offsets. The workspace is one vector of (n, m) matrices with one example per column. It holds the
inputs a^1, the targets y, one weight for each example, and for every computing layer z, a and delta. Where a layer's
inputs are dropped (see dropout.py), they lie in a matrix of their own, since derivatives are computed from the a of the
layer before; the network's inputs are dropped where they are. Derivatives along a direction (see tangents.py) need four
more matrices for every layer, and one for the inputs.

A layer's order in memory depends on the size of the mini-batch (see gemm/matrix.py); a mini-batch of fewer examples
uses the beginning of each matrix. At the end are SPARE_ROWS numbers for each example that a kernel may use as it likes,
room for the gradient of one layer, and a panel for each thread.
"""

from collections.abc import Sequence
from typing import NamedTuple

from mbbp.kernels.gemm.blocking import panel_size
from mbbp.kernels.gemm.matrix import rows_are_contiguous
from mbbp.kernels.lowlevel.records import Address, Int, Real, array_of, record
from mbbp.kernels.lowlevel.vectors import VECTOR_BYTES
from mbbp.parameters import Array, parameter_offsets

SPARE_ROWS = 3
TANGENTS = ("tangent_z", "tangent_a", "tangent_delta", "error")


@record
class LayerRow(NamedTuple):
    """A computing layer: its sizes, where its parts begin, and the kernels of its activation."""

    n_in: Int
    n_out: Int
    W: Int  # in theta, (n_out, n_in)
    b: Int  # in theta, (n_out,)
    inputs: Int  # in the workspace, (n_in, m): the activations of the layer before, or what dropout leaves of them
    z: Int  # in the workspace, (n_out, m), and so are the next two
    a: Int
    delta: Int
    activate: Address  # sets a
    multiply_by_derivative: Address  # sets delta = delta sigma'(z); 0 for nothing to do
    dropout: Real  # the probability that an input of this layer is dropped
    seed: Int  # of the masks
    drop_inputs: Address  # sets `inputs`; 0 for no dropout
    drop_errors: Address  # multiplies the delta of the layer before by the mask
    tangent_z: Int  # in the workspace, (n_out, m), and so are the next three: the derivatives along a direction
    tangent_a: Int
    tangent_delta: Int
    error: Int  # delta before it is multiplied by sigma'
    bend: Address  # multiplies by sigma''(z) and a tangent; 0 where sigma'' is 0


class Layout:
    """The table of a network, and where the rest of the workspace is.

    Parameters
    ----------
    sizes : sequence of int
        The number of neurons in each layer, the input layer first.
    m : int
        The examples of the largest mini-batch.
    threads : int
        How many threads share the workspace.
    lanes : int
        How many numbers a vector register holds.
    dropout : sequence of float, optional
        For each computing layer, the probability that an input of it is dropped. By default none is.
    tangents : bool
        Whether there is room for derivatives along a direction.

    Attributes
    ----------
    table : array of LayerRow
        A row for each computing layer. The engine fills in the addresses of the kernels, and the seed.
    targets, weights, spare, scratch, panels, tangent_inputs : int
        Where these begin in the workspace.
    panel_size : int
        How many numbers the panel of a thread holds.
    work_size : int
        How many numbers the workspace holds.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        m: int,
        threads: int = 1,
        lanes: int = 4,
        dropout: Sequence[float] | None = None,
        *,
        tangents: bool = False,
    ) -> None:
        self.m, self.lanes = m, lanes
        self.targets = sizes[0] * m
        self.weights = self.targets + sizes[-1] * m
        end, inputs = self.weights + m, 0
        rows: list[LayerRow] = []
        rates = [0.0] * (len(sizes) - 1) if dropout is None else dropout
        for (W, b), n_in, n_out, rate in zip(parameter_offsets(sizes), sizes[:-1], sizes[1:], rates, strict=True):
            if rows and rate > 0.0:
                inputs, end = end, end + n_in * m
            z, a, delta = (end + part * n_out * m for part in range(3))
            rows.append(
                LayerRow(
                    n_in=n_in,
                    n_out=n_out,
                    W=W,
                    b=b,
                    inputs=inputs,
                    z=z,
                    a=a,
                    delta=delta,
                    activate=0,
                    multiply_by_derivative=0,
                    dropout=rate,
                    seed=0,
                    drop_inputs=0,
                    drop_errors=0,
                    **{name: end + part * n_out * m if tangents else 0 for part, name in enumerate(TANGENTS, 3)},
                    bend=0,
                )
            )
            inputs, end = a, end + (3 + len(TANGENTS) * tangents) * n_out * m
        self._rows = rows
        self.table = array_of(rows)
        self.tangent_inputs = end
        self.spare = end + (sizes[0] * m if tangents else 0)
        self.scratch = self.spare + SPARE_ROWS * m
        self.panels = self.scratch + max(row.n_out * (row.n_in if row.n_out < lanes else 1) for row in rows)
        widest = max(max(row.n_out, row.n_in if row.n_out == 1 else 1) for row in rows)
        self.panel_size = panel_size(widest, max(m, *sizes), VECTOR_BYTES // lanes)
        self.work_size = self.panels + threads * self.panel_size

    def block(self, work: Array, index: int) -> tuple[Array, Array, Array]:
        """Return z, a and delta of a computing layer as (n, m) views of the workspace."""
        row = self._rows[index]
        n, m = row.n_out, self.m
        has_rows = rows_are_contiguous(n, m, self.lanes)
        parts = [work[at : at + n * m] for at in (row.z, row.a, row.delta)]
        z, a, delta = (part.reshape(n, m) if has_rows else part.reshape(m, n).T for part in parts)
        return z, a, delta

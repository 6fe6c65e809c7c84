"""The report on a network that learns slowly: its figures by layer, what stands out, and what to try."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mbbp.chapter2.advice import Finding, find
from mbbp.chapter2.algorithm import backpropagation
from mbbp.chapter2.numbering import examples
from mbbp.chapter2.saturation import LOW_BELOW, SATURATED_BELOW, LayerDiagnosis, diagnose_layer
from mbbp.files import write_aside
from mbbp.network import Network
from mbbp.validation import as_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEADING = (
    f"{'layer':<30}{'saturated':>10}{'stuck':>9}{'low in':>8}{'slow':>8}"
    f"{'|dC/dW|':>10}{'|dC/db|':>10}{'|delta|':>10}{'|W|':>9}{'|b|':>9}"
)


@dataclass(frozen=True)
class Diagnosis:
    """Why a network learns slowly on a mini-batch, by layer. Printed, it is a table, and what to try.

    Attributes
    ----------
    layers : list of LayerDiagnosis
        The figures of layers 2 to L; ``pandas.DataFrame(diagnosis.layers)`` is a frame of them.
    findings : list of Finding
        What stands out, and what to try.
    m : int
        How many examples there were.
    cost : float
        Their mean cost.
    saturated_below, low_below : float
        The thresholds.
    """

    layers: list[LayerDiagnosis]
    findings: list[Finding]
    m: int
    cost: float
    saturated_below: float
    low_below: float

    def __str__(self) -> str:
        lines = [f"{self.m:,} examples, mean cost {self.cost:.6g}; layer 1 is the input", "", HEADING]
        lines += [_line(row) for row in self.layers]
        lines += [
            "",
            f"saturated: |sigma'(z)| < {self.saturated_below:g}, of neurons and examples; stuck: neurons saturated for "
            "all examples",
            f"low in: |a| < {self.low_below:g}, of what comes in; slow: weights from a low input or to a saturated "
            "neuron",
            "|dC/dW|, |dC/db|, |W|, |b|: norms; |delta|: the mean over neurons and examples",
            "",
        ]
        if not self.findings:
            return "\n".join([*lines, "nothing stands out"])
        return "\n".join([*lines, "what stands out:", *(str(finding) for finding in self.findings)])

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Draw what slows each layer down, and the size of its gradient.

        Parameters
        ----------
        path : path, optional
            Where to save the figure; the ending says the format (.png, .svg, .pdf).

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the path has no ending.
        """
        if path is not None and not Path(path).suffix:
            raise ValueError(f"path: a name with an ending that says the format (.png, .svg, .pdf), got {str(path)!r}")
        from mbbp.chapter2.picture import draw

        figure = draw(self)
        if path is not None:
            write_aside(path, lambda aside: figure.savefig(aside, dpi=150))
        return figure


def _line(row: LayerDiagnosis) -> str:
    name = f"{row.l}  {row.activation}, {row.n_in} -> {row.n_out}"
    return (
        f"{name:<30}{row.saturated:>10.1%}{f'{row.stuck}/{row.n_out}':>9}{row.low_inputs:>8.1%}{row.slow_weights:>8.1%}"
        f"{row.weight_gradient:>10.1e}{row.bias_gradient:>10.1e}{row.error:>10.1e}{row.weights:>9.3g}{row.biases:>9.3g}"
    )


def diagnose(
    net: Network,
    X: ArrayLike,
    Y: ArrayLike,
    *,
    saturated_below: float = SATURATED_BELOW,
    low_below: float = LOW_BELOW,
) -> Diagnosis:
    """Say why a network learns slowly: saturated neurons, low inputs, and gradients that vanish or explode, by layer.

    Parameters
    ----------
    net : Network
        The network, fresh or trained; it is not changed.
    X : array_like of shape (n_in, m)
        Inputs, one example a column: some hundreds show what there is to see.
    Y : array_like of shape (n_L, m) or (m,)
        Desired outputs, or labels.
    saturated_below : float
        A neuron is saturated where |sigma'(z)| is below this.
    low_below : float
        An activation is low where |a| is below this.

    Returns
    -------
    Diagnosis
        Printed, it is a table, and what to try.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as it should be.

    Notes
    -----
    By dC/dw = a_in delta_out (BP4) a weight learns slowly if its input is low or, by the factor sigma'(z) in (BP1) and
    (BP2), its neuron saturated; M. Nielsen, *Neural Networks and Deep Learning*, ch. 2, and for gradients that vanish
    and explode ch. 5. In float64, by plain NumPy.

    Examples
    --------
    >>> import mbbp
    >>> data = mbbp.datasets.load_digits()
    >>> net = mbbp.Network([64, 30, 10], initializer="large", rng=0)
    >>> diagnosis = mbbp.diagnose(net, data.x_train, data.y_train)
    >>> [(finding.kind, finding.layers) for finding in diagnosis.findings]
    [('saturated', (2,)), ('saturated outputs', (3,))]
    """
    below = as_number("saturated_below", saturated_below, positive=True)
    low = as_number("low_below", low_below, positive=True)
    _, y = examples(net, X, Y)
    with np.errstate(all="ignore"):  # numbers that are not finite are a finding
        passed = backpropagation(net, X, Y)
        layers = [diagnose_layer(net, passed, l, below, low) for l in passed.z]
    return Diagnosis(layers, find(net, passed, y, layers, below), y.shape[1], passed.cost, below, low)

"""A report on why a network learns slowly: the measures of each layer, the findings, and what to try."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mbbp.chapter2.advice import Finding, find
from mbbp.chapter2.algorithm import backpropagation
from mbbp.chapter2.numbering import examples
from mbbp.chapter2.picture import draw
from mbbp.chapter2.saturation import LOW_BELOW, SATURATED_BELOW, LayerDiagnosis, diagnose_layer
from mbbp.network import Network
from mbbp.pictures import as_picture_path, save_figure
from mbbp.tables import html_table, text_table, text_width, wrapped
from mbbp.validation import as_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARES = ("layer", "saturated", "stuck", "low in", "slow")
AMOUNTS = ("|dC/dW|", "|dC/db|", "|delta|", "|W|", "|b|")
NOTHING = "nothing stands out"


@dataclass(frozen=True)
class Diagnosis:
    """A report on why a network learns slowly. Its `repr` is one line.

    ``print`` and a notebook show the measures of each layer, the findings and the advice. The lines of ``print`` fit
    into the terminal: where it is narrow, there are two tables.

    Attributes
    ----------
    layers : list of LayerDiagnosis
        The measures of layers 2 to L. ``pandas.DataFrame(diagnosis.layers)`` is a data frame of them.
    findings : list of Finding
        What makes the network learn slowly, and what to try.
    m : int
        The number of examples.
    cost : float
        The mean cost of the examples.
    saturated_below, low_below : float
        The thresholds, as in `diagnose`.
    """

    layers: list[LayerDiagnosis]
    findings: list[Finding]
    m: int
    cost: float
    saturated_below: float
    low_below: float

    def __repr__(self) -> str:
        found = "; ".join(finding.place for finding in self.findings) or NOTHING
        return f"Diagnosis({len(self.layers)} layers, {self.m:,} examples: {found})"

    def __str__(self) -> str:
        shares, amounts = [_shares(row) for row in self.layers], [_amounts(row) for row in self.layers]
        tables = text_table([*SHARES, *AMOUNTS], [left + right for left, right in zip(shares, amounts, strict=True)])
        if len(tables[0]) > text_width():
            named = [[left[0], *right] for left, right in zip(shares, amounts, strict=True)]
            tables = [*text_table(SHARES, shares), "", *text_table([SHARES[0], *AMOUNTS], named)]
        notes = [wrapped(note, later_indent="   ") for note in self._notes()]
        findings = ["what stands out:", *map(str, self.findings)] if self.findings else [NOTHING]
        return "\n".join([wrapped(self._title()), "", *tables, "", *notes, "", *findings])

    def _repr_html_(self) -> str:
        rows = [_shares(row) + _amounts(row) for row in self.layers]
        findings = [f"{finding.place}: {finding.what}; try {finding.advice}" for finding in self.findings] or [NOTHING]
        return html_table([*SHARES, *AMOUNTS], rows, self._title(), [*self._notes(), *findings])

    def _title(self) -> str:
        return f"{self.m:,} examples, mean cost {self.cost:.6g}; layer 1 is the input"

    def _notes(self) -> list[str]:
        return [
            f"saturated: neurons with |sigma'(z)| < {self.saturated_below:g}, over all examples; stuck: neurons "
            "saturated for every example",
            f"low in: inputs with |a| < {self.low_below:g}, over all examples; slow: weights with a low input or a "
            "saturated neuron",
            "|dC/dW|, |dC/db|, |W|, |b|: norms; |delta|: the mean over neurons and examples",
        ]

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw what makes each layer learn slowly, and the size of its gradient.

        Parameters
        ----------
        path : path, optional
            Where to save the figure. The ending gives the format (.png, .svg, .pdf).

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the path ends in none of .png, .svg and .pdf, or its folder cannot be written to. This is checked before
            the figure is drawn.
        TypeError
            If the path is not a path.
        OSError
            If the file cannot be written.
        """
        target = as_picture_path("path", path)
        figure = draw(self.layers)
        if target is not None:
            save_figure(figure, target)
        return figure


def _name(row: LayerDiagnosis) -> str:
    return f"{row.l}  {row.activation}, {row.n_in} -> {row.n_out}"


def _shares(row: LayerDiagnosis) -> list[str]:
    return [
        _name(row),
        f"{row.saturated:.1%}",
        f"{row.stuck}/{row.n_out}",
        f"{row.low_inputs:.1%}",
        f"{row.slow_weights:.1%}",
    ]


def _amounts(row: LayerDiagnosis) -> list[str]:
    gradients = [f"{size:.1e}" for size in (row.weight_gradient, row.bias_gradient, row.error)]
    return [*gradients, f"{row.weights:.3g}", f"{row.biases:.3g}"]


def diagnose(
    net: Network,
    X: ArrayLike,
    Y: ArrayLike,
    *,
    saturated_below: float = SATURATED_BELOW,
    low_below: float = LOW_BELOW,
) -> Diagnosis:
    """Report for each layer why a network learns slowly: saturated neurons, low inputs, small or large gradients.

    Parameters
    ----------
    net : Network
        The network, before or after training. It is not changed.
    X : array_like of shape (n_in, m)
        Inputs, one example per column. Some hundred examples are enough.
    Y : array_like of shape (n_L, m) or (m,)
        Desired outputs, or labels.
    saturated_below : float
        A neuron counts as saturated if |sigma'(z)| is below this threshold.
    low_below : float
        An activation counts as low if |a| is below this threshold.

    Returns
    -------
    Diagnosis
        ``print`` and a notebook show it as a table with advice.

    Raises
    ------
    TypeError
        If `net` is not a network, if X or Y does not hold real numbers, or if a threshold is not a number.
    ValueError
        If X or Y has the wrong shape or no column, if it holds NaN or inf, if a label or target is out of range, or if
        a threshold is not positive.

    Notes
    -----
    By (BP4) dC/dw = a_in delta_out, so a weight learns slowly if its input is low. By (BP1) and (BP2) delta_out has the
    factor sigma'(z), so a weight learns slowly if its neuron is saturated; M. Nielsen, *Neural Networks and Deep
    Learning*, ch. 2. Vanishing and exploding gradients are in ch. 5. The computation is in float64, in plain NumPy.

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
    with np.errstate(all="ignore"):  # numbers that are not finite are reported as a finding
        passed = backpropagation(net, X, Y)
        layers = [diagnose_layer(net, passed, l, below, low) for l in passed.z]
    findings = find(layers, passed, y, net.layers[-1].activation, net.cost_function, below)
    return Diagnosis(layers, findings, y.shape[1], passed.cost, below, low)

"""What a notebook shows of a network: a table of its layers."""

from collections.abc import Sequence
from itertools import pairwise

from mbbp.tables import html_table


def network_html(sizes: Sequence[int], activations: Sequence[str], *facts: str) -> str:
    """Return the layers of a network as an HTML table, with the number of parameters of each.

    Parameters
    ----------
    sizes : sequence of int
        The number of neurons in each layer, the input layer first.
    activations : sequence of str
        The name of each computing layer's activation.
    *facts : str
        What else the title tells: the cost, the dtype, how inputs are scaled.

    Examples
    --------
    >>> "2,260 parameters, cost quadratic" in network_html([64, 30, 10], ["tanh", "sigmoid"], "cost quadratic")
    True
    """
    rows = [["1", "input", f"{sizes[0]:,}", ""]]
    total = 0
    for number, ((n_in, n_out), activation) in enumerate(zip(pairwise(sizes), activations, strict=True), 2):
        n_parameters = n_out * (n_in + 1)
        total += n_parameters
        rows.append([str(number), activation, f"{n_out:,}", f"{n_parameters:,}"])
    title = ", ".join([f"Network of {len(sizes)} layers: {total:,} parameters", *facts])
    return html_table(["layer", "activation", "neurons", "parameters"], rows, title)

"""A figure that a notebook shows. This file needs matplotlib, so it is imported when the first figure is made."""

import io

from matplotlib.figure import Figure


class NotebookFigure(Figure):
    """A figure that shows its picture at the end of a notebook's cell.

    Jupyter shows a plain `Figure` as text until matplotlib's inline backend is loaded, which ``%matplotlib inline`` or
    the first figure of pyplot does.
    """

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.savefig(picture, format="png")
        return picture.getvalue()

"""Warnings that point to the line of the user's program."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import sklearn

import mbbp

OURS = tuple(str(Path(package.__file__ or "").parent) for package in (mbbp, sklearn))


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line that called mbbp, or called it through scikit-learn."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(OURS):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)

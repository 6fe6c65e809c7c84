"""The package as a whole: its data file, its imports, and its docstrings."""

import doctest
import importlib
import pkgutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mbbp import datasets
from mbbp.datasets import load_digits

PACKAGE = Path(datasets.__file__).parent


def test_the_digits_are_read_from_an_archive(tmp_path):
    """They are a package resource, so a zip file is enough. And no optional package is imported."""
    archive = tmp_path / "mbbp.zip"
    with zipfile.ZipFile(archive, "w") as file:
        # everything except mbbp.datasets comes from the checkout
        file.writestr("mbbp/__init__.py", f"__path__.append({str(PACKAGE.parent)!r})\n")
        for path in PACKAGE.iterdir():
            if path.is_file():
                file.write(path, f"mbbp/datasets/{path.name}")
    program = (
        "import sys, mbbp.datasets as d; print(d.__file__); print(d.load_digits());"
        "print(sorted({'pooch', 'pandas', 'sklearn'} & set(sys.modules)))"
    )
    # -P keeps the current folder, and with it this checkout, from being first in sys.path.
    result = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(archive)!r}); {program}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    where, digits, optional = result.stdout.splitlines()
    assert where.startswith(str(archive))
    assert digits == repr(load_digits())
    assert optional == "[]"


@pytest.mark.parametrize("name", ["", *(f".{module.name}" for module in pkgutil.iter_modules([str(PACKAGE)]))])
def test_examples_in_docstrings_run(name):
    assert doctest.testmod(importlib.import_module(f"mbbp.datasets{name}")).failed == 0

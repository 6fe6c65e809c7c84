"""Packages that mbbp uses only if they are there: how to get one that is missing is said in one place."""

import importlib
from typing import Any

NAMES_FOR_PIP = {"sklearn": "scikit-learn", "dp_accounting": "dp-accounting"}


def load_extra(argument: str, module: str, why: str = "") -> Any:
    """Import a module of a package that is not installed together with mbbp, and return the module.

    Parameters
    ----------
    argument : str
        What the user called or gave, with which the message begins.
    module : str
        The full name of the module.
    why : str, optional
        Why the package is needed, if this is not plain from the argument.

    Raises
    ------
    ImportError
        If its package is not installed. The message says how to install it.

    Examples
    --------
    >>> load_extra("plot", "json").dumps([1])
    '[1]'
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise  # the package is there, and lacks something itself
        raise missing_extra(argument, package, why) from error


def missing_extra(argument: str, package: str, why: str = "") -> ModuleNotFoundError:
    """Return the error that a package is not installed. Its hint works however mbbp itself was installed.

    Examples
    --------
    >>> missing_extra("plot", "matplotlib")
    ModuleNotFoundError('plot: needs matplotlib; pip install matplotlib')
    """
    reason = f", because {why}" if why else ""
    name = NAMES_FOR_PIP.get(package, package)
    return ModuleNotFoundError(f"{argument}: needs {package}{reason}; pip install {name}", name=package)

"""The signatures that ``help`` prints are short: the names of types, and not what they stand for."""

import inspect

import pytest

import mbbp
from mbbp.nielsen import mnist_loader, network, network2

MODULES = (
    mbbp,
    mbbp.chapter2,
    mbbp.costs,
    mbbp.datasets,
    mbbp.reference,
    mbbp.schedules,
    network,
    network2,
    mnist_loader,
)
LONGEST = 1200


def public(module):
    """Yield the public functions, classes and methods of a module by name, those of the package alone."""
    for name in getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")]):
        found = getattr(module, name)
        if not callable(found) or not getattr(found, "__module__", "").startswith("mbbp"):
            continue
        if inspect.isclass(found) and issubclass(found, BaseException):
            continue  # an exception has the signature of Python's own
        yield name, found
        if inspect.isclass(found):
            for method, one in inspect.getmembers(found, inspect.isfunction):
                if not method.startswith("_"):
                    yield f"{name}.{method}", one


SIGNATURES = {
    f"{module.__name__}.{name}": str(inspect.signature(found)) for module in MODULES for name, found in public(module)
}


def test_they_are_all_looked_at():
    names = ["mbbp.Network.fit", "mbbp.Trainer.step", "mbbp.diagnose", "mbbp.chapter2.bp2", "mbbp.reference.gradient"]
    assert set(names) <= SIGNATURES.keys()
    assert len(SIGNATURES) > 100


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_signature_names_its_types_and_is_short(name):
    signature = SIGNATURES[name]
    assert "numpy._typing" not in signature
    assert "Union[" not in signature
    assert len(signature) <= LONGEST

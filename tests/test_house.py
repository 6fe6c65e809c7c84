"""The house: who may import whom, where Numba's private parts are used, and how long files and signatures are."""

import ast
from pathlib import Path

import pytest

import mbbp

PACKAGE = Path(mbbp.__file__).parent
TESTS = Path(__file__).parent
FILES = sorted([*PACKAGE.rglob("*.py"), *TESTS.rglob("*.py")])
FLOORS = {
    0: "reference reference_arguments parameters files npz fixed extras tables version kernels",
    1: "validation dropout arrays targets scaling inputs custom threads activations costs optimizers solvers"
    " optimizer_state schedules schema initializers summary pictures figure subsets"
    " class_weights",
    2: "prepared preparing engine loop layers differentiation residuals ranks chunking",
    3: "history stopping fileformat interrupts progress planning methods training trainer",
    4: "structure passes derivatives network",
    5: "__init__ presets check predictions saving exchange chapter2 nielsen datasets bench help_formatter building"
    " sklearn check_derivatives bayesian many tuning",
    6: "cli __main__",
}
FLOOR_OF = {name: floor for floor, names in FLOORS.items() for name in names.split()}
PRIVATE = ("numba.core", "numba.np", "llvmlite")
MAY_USE_PRIVATE = ("mbbp.kernels.lowlevel.", "mbbp.kernels.gemm.tile")
MOST_LINES = 480
MOST_PARAMETERS = 13
# scikit-learn wants every parameter in the signature of a constructor
MAY_HAVE_MORE = {"Network.fit", "make_plan", "MLPClassifier.__init__", "MLPRegressor.__init__"}


def module_of(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def imported(tree):
    """Yield the full name of everything that a file imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def our_imports(module):
    """Return the modules of ours that a module imports."""
    found = set()
    for name in imported(MODULES[module]):
        while name and name not in MODULES:  # a name in a module
            name = name.rpartition(".")[0]
        found.add(name)
    return found - {"", module}


def floor_of(module):
    return FLOOR_OF[[*module.split("."), "__init__"][1]]


def test_every_file_has_a_floor():
    names = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert names == FLOOR_OF.keys()


@pytest.mark.parametrize("module", MODULES)
def test_a_file_imports_from_its_own_floor_or_below(module):
    above = {other for other in our_imports(module) if floor_of(other) > floor_of(module)}
    assert not above


def test_no_file_imports_itself_in_a_circle():
    """Take away every file all of whose imports are gone, until none is left."""
    left = {module: our_imports(module) for module in MODULES}
    while free := [module for module, needed in left.items() if not needed & left.keys()]:
        for module in free:
            del left[module]
    assert not left


def test_the_oracle_imports_no_kernel():
    oracle = {module for module in MODULES if module.split(".")[:2] == ["mbbp", "reference"]}
    assert len(oracle) == 10
    assert set().union(*map(our_imports, oracle)) - oracle == {"mbbp.parameters", "mbbp.reference_arguments"}
    assert our_imports("mbbp.reference_arguments") == {"mbbp.parameters"}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_private_parts_of_numba_are_used_in_lowlevel_alone(module):
    private = {name for name in imported(MODULES[module]) if name.startswith(PRIVATE)}
    assert not private or module.startswith(MAY_USE_PRIVATE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(Path(*path.parts[-3:])))
def test_no_file_is_long(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MOST_LINES


def signatures(tree, prefix=""):
    """Yield the name and the number of parameters of every function."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            given = node.args
            yield prefix + node.name, len(given.posonlyargs + given.args + given.kwonlyargs)
        name = getattr(node, "name", None)
        yield from signatures(node, f"{prefix}{name}." if isinstance(node, ast.ClassDef) else prefix)


def test_no_function_takes_many_arguments():
    found = {name: n for tree in MODULES.values() for name, n in signatures(tree) if n > MOST_PARAMETERS}
    assert found.keys() == MAY_HAVE_MORE

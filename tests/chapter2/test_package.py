"""The package as a whole: its names, its docstrings, and what it imports."""

import ast
from pathlib import Path

import numpy as np

from mbbp import chapter2
from tests.networks import fixed


def test_every_exported_name_is_unique_and_has_a_docstring():
    assert sorted(chapter2.__all__) == sorted(set(chapter2.__all__))
    for name in chapter2.__all__:
        assert getattr(chapter2, name).__doc__


def test_no_file_imports_a_kernel_or_numba():
    files = sorted(Path(chapter2.__file__).parent.glob("*.py"))
    assert len(files) >= 10
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.startswith(("numba", "mbbp.kernels"))], path


def test_nothing_is_changed():
    net, X, Y = fixed()
    copies = net.theta.copy(), X.copy(), Y.copy(), net.rng.bit_generator.state
    chapter2.backpropagation(net, X, Y)
    chapter2.gradient_descent_step(net, X, Y, 1.0)
    chapter2.backpropagation_with_modified_neuron(net, X, Y, 2, 0, "sigmoid")
    chapter2.backpropagation_with_linear_neurons(net, X, Y)
    for now, before in zip((net.theta, X, Y), copies, strict=False):
        np.testing.assert_array_equal(now, before)
    assert net.rng.bit_generator.state == copies[3]
    assert [layer.z for layer in net.layers] == [None] * 3

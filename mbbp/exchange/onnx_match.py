"""Finding activations in an ONNX graph that are written with several operators."""

from __future__ import annotations

from typing import Any

from mbbp.exchange.onnx_functions import Operation, Program, readable
from mbbp.exchange.onnx_tensors import Constants

TURNABLE = ("Add", "Mul", "Max", "Min")  # their inputs may be in either order
CLOSE = 1e-6  # relative: others write their constants in float32, with six or seven digits


class Matcher:
    """The operators of a graph by what they compute from, and what follows from a value by a known program.

    A value that is found so *is* the activation of the first one, whatever else the graph does with what lies between.
    """

    def __init__(self, nodes: Any, constants: Constants) -> None:
        self._constants = constants
        self._nodes: dict[str, dict[str, list[Any]]] = {}  # by the name of an input, and by the operator
        for node in nodes:
            if node.domain in ("", "ai.onnx") and len(node.output) == 1:
                for name in dict.fromkeys(node.input):
                    if name and name not in constants:
                        self._nodes.setdefault(name, {}).setdefault(node.op_type, []).append(node)
        self._programs: dict[str, list[Program]] = {}  # by their first operator
        for program in readable():
            self._programs.setdefault(program.operations[0].op, []).append(program)

    def activations_of(self, name: str) -> dict[str, str]:
        """Return the activations of a value, by the name of the result."""
        found = {}
        for op in self._nodes.get(name, ()):
            for program in self._programs.get(op, ()):
                result = self._result(program, name)
                if result is not None:
                    found[result] = program.activation
        return found

    def _result(self, program: Program, name: str) -> str | None:
        names = {"x": name}
        for operation in program.operations:
            output = self._output(operation, names)
            if output is None:
                return None
            names[operation.output] = output
        return names[program.operations[-1].output]

    def _output(self, operation: Operation, names: dict[str, str]) -> str | None:
        wanted: list[str | float] = [names[one] if isinstance(one, str) else one for one in operation.inputs]
        first = next(one for one in wanted if isinstance(one, str))
        for node in self._nodes.get(first, {}).get(operation.op, ()):
            given = list(node.input)
            orders = [given, given[::-1]] if operation.op in TURNABLE else [given]
            if node.attribute or len(given) != len(wanted):
                continue
            if any(all(map(self._is, order, wanted)) for order in orders):
                return str(node.output[0])
        return None

    def _is(self, given: str, wanted: str | float) -> bool:
        if isinstance(wanted, str):
            return given == wanted
        if given not in self._constants:
            return False
        array = self._constants[given]
        if array.size != 1 or array.ndim > 2 or array.dtype.kind != "f":  # more dimensions would pass to the result
            return False
        return abs(float(array.item()) - wanted) <= CLOSE * abs(wanted)

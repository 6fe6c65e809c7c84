"""Custom scalar functions, compiled so that a loop over them runs in vector lanes.

Two things would prevent that. `math.exp` and `math.tanh` are calls into the C library: they are replaced by ours. And
in Numba `1.0 + z` is float64 for a float32 z, because a literal is float64; then half as many numbers fit into a
vector. In NumPy a literal takes the type of the other operand (NEP 50), and here it does too. Both changes are made to
Numba's intermediate form of the function, before types are inferred.

A function that the user compiled with Numba and calls is compiled again, in the same way. It could have been compiled
without a check of the bounds of arrays, and then it would read any memory.

Numba's power with a whole number as the exponent can raise an error, as for 0 ** -1. Ours returns inf there.
"""

import builtins
import functools
import math
import operator
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

import numba
import numpy as np
from numba import types
from numba.core import ir as numba_ir
from numba.core.ccallback import CFunc
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.dispatcher import Dispatcher
from numba.core.ir_utils import build_definitions
from numba.core.untyped_passes import IRProcessing, MakeFunctionToJitFunction
from numba.experimental.jitclass.base import JitClassType
from numba.extending import overload
from numba.np.ufunc.dufunc import DUFunc
from numba.np.ufunc.gufunc import GUFunc

from mbbp.kernels import exponential
from mbbp.kernels.lowlevel.compiling import CONTRACTING, DISABLED, jit, warn_of_nothing
from mbbp.kernels.lowlevel.failures import CanFailError


@functools.cache
def _vector_functions() -> dict[Any, Any]:
    """Return our compiled function for each one that is replaced."""
    jit()  # until then they are plain functions
    exp, tanh = exponential.exp, exponential.tanh
    return {math.exp: exp, np.exp: exp, math.tanh: tanh, np.tanh: tanh}


_MEETING = {max, min}
_POWERS = {operator.pow, operator.ipow}
_OPERATORS = {operator.add, operator.sub, operator.mul, operator.truediv, operator.lt, operator.le, operator.gt}
_OPERATORS |= {operator.ge, operator.eq, operator.ne, operator.iadd, operator.isub, operator.imul, operator.itruediv}


def _literal_like(literal, other):
    """Return a literal number in the type of what it meets, where that is a floating-point number."""
    return type(other)(literal) if isinstance(other, np.floating) else literal


@overload(_literal_like)
def _compiled_literal_like(literal, other):
    if isinstance(other, types.Float):
        number = np.float32 if other == types.float32 else np.float64
        return lambda literal, other: number(literal)
    return lambda literal, other: literal


def _power(base, exponent):
    """Return base ** exponent."""
    return base**exponent


@numba.njit(error_model="numpy", fastmath=CONTRACTING)
def _whole_power(base, exponent):
    result, left = type(base)(1), abs(exponent)
    square = base
    while left > 0:
        if left & 1:
            result *= square
        square *= square
        left >>= 1
    return result if exponent >= 0 else type(base)(1) / result


@overload(_power)
def _compiled_power(base, exponent):
    if isinstance(base, types.Float) and isinstance(exponent, types.Integer):
        return lambda base, exponent: _whole_power(base, exponent)
    return lambda base, exponent: base**exponent


@register_pass(mutates_CFG=False, analysis_only=False)
class _VectorForm(FunctionPass):
    """Puts vector functions in the place of the C library's, and gives literals the type of what they meet."""

    _name = "mbbp_vector_form"

    def __init__(self) -> None:
        FunctionPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        self._ir, self._count = state.func_ir, 0
        for block in self._ir.blocks.values():
            body: list[Any] = []
            for statement in block.body:
                if isinstance(statement, numba_ir.Assign):
                    self._change(statement, block.scope, body)
                body.append(statement)
            block.body = body
        self._ir._definitions = build_definitions(self._ir.blocks)
        return True

    def _change(self, statement: Any, scope: Any, body: list[Any]) -> None:
        value = statement.value
        found = self._known(value)
        if found is not None and any(found is known for known in _vector_functions()):
            function = _vector_functions()[found]
            statement.value = numba_ir.Global(function.__name__, function, statement.loc)
        elif isinstance(value, numba_ir.Expr) and value.op in ("binop", "inplace_binop") and value.fn in _OPERATORS:
            left, right = value.lhs, value.rhs
            value.lhs = self._like(left, right, statement, scope, body)
            value.rhs = self._like(right, left, statement, scope, body)
        elif self._is_power(value):
            statement.value = self._call(_power, [value.lhs, value.rhs], statement, scope, body)
        elif isinstance(value, numba_ir.Expr) and value.op == "call" and self._known_of(value.func) in _MEETING:
            others = [one for one in value.args if not self._is_literal(one)]
            if others:
                value.args = [self._like(one, others[0], statement, scope, body) for one in value.args]

    def _is_power(self, value: Any) -> bool:
        """Return whether it is a power whose exponent is not written as a number; Numba knows those."""
        is_operator = isinstance(value, numba_ir.Expr) and value.op in ("binop", "inplace_binop")
        return is_operator and value.fn in _POWERS and not self._is_literal(value.rhs)

    def _call(self, called: Any, arguments: list[Any], statement: Any, scope: Any, body: list[Any]) -> Any:
        """Return a call of a function of ours."""
        self._count += 1
        function = numba_ir.Var(scope, f"$called.{self._count}", statement.loc)
        known = numba_ir.Global(called.__name__, called, statement.loc)
        body.append(numba_ir.Assign(known, function, statement.loc))
        return numba_ir.Expr.call(function, arguments, (), statement.loc)

    def _known_of(self, variable: Any) -> Any:
        try:
            return self._known(self._ir.get_definition(variable))
        except KeyError:
            return None

    def _known(self, value: Any) -> Any:
        """Return the object that a global name, or an attribute of a module, stands for."""
        if isinstance(value, numba_ir.Global | numba_ir.FreeVar):
            return value.value if callable(value.value) or hasattr(value.value, "__dict__") else None
        if isinstance(value, numba_ir.Expr) and value.op == "getattr":
            module = self._known_of(value.value)
            return getattr(module, value.attr, None) if module in (math, np, builtins) else None
        return None

    def _is_literal(self, variable: Any) -> bool:
        try:
            definition = self._ir.get_definition(variable)
        except KeyError:
            return False
        if isinstance(definition, numba_ir.Expr) and definition.op == "unary":
            return self._is_literal(definition.value)
        constants = numba_ir.Const | numba_ir.Global | numba_ir.FreeVar  # a variable from outside the function, too
        return isinstance(definition, constants) and type(definition.value) in (int, float)

    def _like(self, one: Any, other: Any, statement: Any, scope: Any, body: list[Any]) -> Any:
        """Return a variable for one operand, of the type of the other if it is a literal."""
        if not self._is_literal(one) or self._is_literal(other):
            return one
        call = self._call(_literal_like, [one, other], statement, scope, body)
        result = numba_ir.Var(scope, f"$literal.{self._count}", statement.loc)
        body.append(numba_ir.Assign(call, result, statement.loc))
        return result


# What Numba compiles in other ways cannot be compiled again here, or is called by its address: no error would be seen.
_OTHER_KINDS = {DUFunc: "vectorize", GUFunc: "guvectorize", CFunc: "cfunc", JitClassType: "jitclass"}


class _Helpers:
    """The functions that one scalar function calls, compiled as the function itself."""

    def __init__(self) -> None:
        self._compiled: dict[Any, Any] = {}

    def of(self, value: Any) -> Any:
        """Return a value with the functions that are in it compiled again; the value itself if there is none."""
        for kind, name in _OTHER_KINDS.items():
            if isinstance(value, kind):
                called = getattr(value, "__name__", repr(value))
                raise CanFailError(f"one that uses {called}, compiled by numba.{name}; use numba.njit")
        if isinstance(value, tuple):
            return self._of_tuple(value)
        if any(value is ours for ours in _vector_functions().values()):
            return value
        if not isinstance(value, Dispatcher) and not _is_users(value):
            return value
        if value not in self._compiled:
            compiled = self._compiled[value] = self.compiled(getattr(value, "py_func", value))
            if _has_signatures(value):  # it casts to their types
                for signature in value.nopython_signatures:
                    compiled.compile(signature)
                compiled.disable_compile()
        return self._compiled[value]

    def _of_tuple(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        for one in values:
            if _has_signatures(one):  # Numba would call it by its address
                raise CanFailError(f"one that takes {one.__name__} from a tuple; use numba.njit without a signature")
        parts = [self.of(one) for one in values]
        if all(new is old for new, old in zip(parts, values, strict=True)):
            return values
        return type(values)(*parts) if hasattr(values, "_fields") else tuple(parts)

    def compiled(self, plain: FunctionType) -> Any:
        """Return a plain function, compiled for our kernels."""
        given = plain.__defaults__ or ()
        defaults = self.of(given)
        if defaults is not given:
            plain = FunctionType(plain.__code__, plain.__globals__, plain.__name__, defaults, plain.__closure__)
        compiler = type("_Compiler", (_Compiler,), {"helpers": self})
        return numba.njit(
            error_model="numpy", nogil=True, fastmath=CONTRACTING, boundscheck=True, pipeline_class=compiler
        )(plain)


def _is_users(value: Any) -> bool:
    """Return whether it is a plain function of the user's, which Numba knows if it was registered."""
    libraries = "numba", "numpy", "mbbp"
    return isinstance(value, FunctionType) and str(value.__module__).partition(".")[0] not in libraries


def _has_signatures(value: Any) -> bool:
    """Return whether it was compiled for the types of given signatures alone."""
    dispatcher: Any = value
    return isinstance(value, Dispatcher) and not dispatcher._can_compile


@register_pass(mutates_CFG=False, analysis_only=False)
class _CheckedHelpers(FunctionPass):
    """Puts functions that are compiled as ours in the place of those that the user has compiled."""

    _name = "mbbp_checked_helpers"

    def __init__(self) -> None:
        FunctionPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        helpers, code = state.pipeline.helpers, state.func_ir
        code._definitions = build_definitions(code.blocks)
        for block in code.blocks.values():
            for statement in block.body:
                if isinstance(statement, numba_ir.Assign):
                    found = _found(code, statement.value)
                    value = helpers.of(found)
                    if value is not found:
                        statement.value = numba_ir.Global(statement.target.name, value, statement.loc)
        code._definitions = build_definitions(code.blocks)
        return True


def _found(code: Any, value: Any) -> Any:
    """Return the object that a name from outside the function, or an attribute of a module, stands for."""
    if isinstance(value, numba_ir.Global | numba_ir.FreeVar):
        return value.value
    if isinstance(value, numba_ir.Expr) and value.op == "getattr":
        try:
            module = _found(code, code.get_definition(value.value))
        except KeyError:  # a variable with more than one value
            return None
        return getattr(module, value.attr, None) if isinstance(module, ModuleType) else None
    return None


class _Compiler(CompilerBase):
    helpers: _Helpers

    def define_pipelines(self) -> list[Any]:
        pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state)
        pipeline.add_pass_after(_VectorForm, IRProcessing)
        pipeline.add_pass_after(_CheckedHelpers, MakeFunctionToJitFunction)  # functions in the function are known then
        pipeline.finalize()
        return [pipeline]


def compiled_scalar(function: Callable[..., Any]) -> Any:
    """Return a scalar function, plain Python or compiled by Numba, as kernels call it."""
    plain: Any = getattr(function, "py_func", function)
    if DISABLED:
        return warn_of_nothing(plain)
    if not isinstance(plain, FunctionType):  # one of Python's or NumPy's own, which Numba knows by name only

        def plain(*numbers: Any) -> Any:
            return function(*numbers)

    return _Helpers().compiled(plain)

"""Object code of kernels, for a library that comes with the package.

What is emitted is the LLVM code that Numba has optimised for the JIT, for the processor that its settings name; so the
bits of the results are those of the JIT. Only the way in differs. Numba's calls Python to report an error, and then
returns 0. Ours returns 0 alone: the callers of kernels see to it that there is no error, such as a step of 0.
"""

import re
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from numba.core.registry import cpu_target

from mbbp.kernels.lowlevel.kernel import Kernel
from mbbp.kernels.lowlevel.records import RETURN_KINDS

_FUNCTION = r"^define [^\n]*@{}\([^\n]*\{{\n.*?^\}}\n"
_EXTERNAL = re.compile(r"^define (?:dso_local )?(?!internal|private|linkonce)", re.MULTILINE)
_ENTRY = """
define {kind} @{symbol}(ptr %at) {{
  %returned = alloca {kind}
  store {kind} zeroinitializer, ptr %returned
  %error = alloca ptr
  store ptr null, ptr %error
  %status = call i32 @{native}(ptr %returned, ptr %error, ptr %at)
  %value = load {kind}, ptr %returned
  ret {kind} %value
}}
"""


def object_code(kernel: Kernel, dtype: np.dtype[Any]) -> bytes:
    """Return the object file of a kernel for a dtype. It defines one symbol, `Kernel.symbol`."""
    if llvm.llvm_version_info < (17,):
        raise RuntimeError(f"building kernels: expected llvmlite of LLVM 17 or later, got {llvm.llvm_version_info}")
    compiled = kernel.compile(dtype, is_cached=False)  # of what comes from the cache there is no LLVM code
    wrapper = compiled.native_name
    text = _without(compiled.inspect_llvm(), wrapper)
    native = _quoted(wrapper.removeprefix("cfunc."))
    text = _EXTERNAL.sub("define internal ", text)
    kind = {"int": "i64", "real": "double"}[RETURN_KINDS[kernel.record_class]]
    text += _ENTRY.format(kind=kind, symbol=kernel.symbol(dtype), native=native)
    module = llvm.parse_assembly(text)
    module.verify()
    return bytes(_machine().emit_object(module))


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[\w.$-]+", name) else f'"{name}"'


def _without(text: str, name: str) -> str:
    """Return LLVM code without the definition of a function."""
    pattern = _FUNCTION.format(re.escape(_quoted(name)))
    shorter, count = re.subn(pattern, "", text, flags=re.MULTILINE | re.DOTALL)
    if count != 1:
        raise RuntimeError(f"{name}: expected one definition in Numba's LLVM code, got {count}")
    return shorter


def _machine() -> Any:
    """Return LLVM's machine for the processor that Numba compiles for, whose code may stand at any address."""
    codegen = cpu_target.target_context.codegen()
    processor, features = codegen._get_host_cpu_name(), codegen._get_host_cpu_features()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(cpu=processor, features=features, opt=3, reloc="pic", codemodel="default")

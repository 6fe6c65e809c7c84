"""What the processor has that Numba compiles for: this machine's, or what NUMBA_CPU_NAME and NUMBA_CPU_FEATURES say."""

import llvmlite.binding as llvm
from numba.core import config

_LEVELS = {"x86-64-v2": set[str](), "x86-64-v3": {"avx", "avx2", "fma"}, "x86-64-v4": {"avx", "avx2", "fma", "avx512f"}}


def _features() -> set[str]:
    name, given = (getattr(config, setting) for setting in ("CPU_NAME", "CPU_FEATURES"))
    if given is None:  # then Numba takes the host's, whatever the name
        return {feature for feature, is_there in llvm.get_host_cpu_features().items() if is_there}
    named = {word[1:] for word in given.split(",") if word.startswith("+")}
    taken_off = {word[1:] for word in given.split(",") if word.startswith("-")}
    return (named | _LEVELS.get(name, set())) - taken_off


_FEATURES = _features()
_TRIPLE = llvm.get_default_triple()
HAS_AVX512 = "avx512f" in _FEATURES
HAS_AVX = "avx" in _FEATURES
HAS_32_REGISTERS = HAS_AVX512 or "aarch64" in _TRIPLE or "arm64" in _TRIPLE  # vector registers; else 16

"""What the processor has that the kernels are made for: this machine's, or what Numba's own settings say.

The settings are the environment variables NUMBA_CPU_NAME and NUMBA_CPU_FEATURES. With them, everything can be compiled
and tested for another level of processor than the host's: ``os.environ | settings("x86-64-v3")``.
"""

import functools
import os
import platform
from pathlib import Path

from numpy._core import _multiarray_umath  # type: ignore[attr-defined]

_FEATURES = {
    "x86-64-v2": set[str](),
    "x86-64-v3": {"avx", "avx2", "fma"},
    "x86-64-v4": {"avx", "avx2", "fma", "avx512f"},
}
# what NumPy calls the levels, and what its versions before 2.4 called the features that tell them apart
_BITS = {"bmi1", "bmi2", "abm", "movbe"}  # features of x86-64-v3 that those versions do not know; Linux names them
_SIGNS: dict[str, tuple[set[str], ...]] = {
    "x86-64-v2": ({"X86_V2"}, {"SSE42", "POPCNT"}),
    "x86-64-v3": ({"X86_V3"}, {"AVX2", "FMA3", "F16C", *_BITS}),
    "x86-64-v4": ({"X86_V4"}, {"AVX512F", "AVX512_SKX", *_BITS}),
}
LEVELS = tuple(_FEATURES)


def settings(level: str) -> dict[str, str]:
    """Return the environment variables with which a process compiles for a level, whatever the host has.

    Examples
    --------
    >>> settings("x86-64-v3")
    {'NUMBA_CPU_NAME': 'x86-64-v3', 'NUMBA_CPU_FEATURES': ''}
    """
    return {"NUMBA_CPU_NAME": level, "NUMBA_CPU_FEATURES": ""}


@functools.cache
def host_level() -> str | None:
    """Return the highest level that this machine has, or None if it is not an x86-64 of these levels."""
    features = _multiarray_umath.__cpu_features__
    there = {name for name, is_there in features.items() if is_there}
    if "X86_V2" not in features:
        there |= _named_by_linux()
    level = None
    for name, signs in _SIGNS.items():
        if any(sign <= there for sign in signs):
            level = name
    return level


def _named_by_linux() -> set[str]:
    """Return the features that Linux names; it takes long on machines with many cores."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # another system: NumPy's word must do
        return _BITS
    return set(next((line for line in lines if line.startswith("flags")), "").split())


def _set() -> tuple[str | None, str | None]:
    """Return the name and the features that the settings say, read as Numba reads them."""
    name, features = os.environ.get("NUMBA_CPU_NAME"), os.environ.get("NUMBA_CPU_FEATURES")
    return name, "" if features is None and name and name.lower() == "generic" else features


def level() -> str | None:
    """Return the level that is compiled for, or None if the settings name features that are not those of a level."""
    name, given = _set()
    if name is None and given is None:
        return host_level()
    return name if name in LEVELS and given == "" else None


def _features() -> set[str]:
    name, given = _set()
    if given is None:  # then Numba takes the host's, whatever the name
        return _FEATURES.get(host_level() or "", set())
    named = {word[1:] for word in given.split(",") if word.startswith("+")}
    taken_off = {word[1:] for word in given.split(",") if word.startswith("-")}
    return (named | _FEATURES.get(name or "", set())) - taken_off


HAS_AVX512 = "avx512f" in _features()
HAS_AVX = "avx" in _features()
HAS_32_REGISTERS = HAS_AVX512 or platform.machine() in ("aarch64", "arm64", "ARM64")  # vector registers; else 16

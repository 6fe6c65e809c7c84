"""The state of a generator of random numbers, as JSON, and back.

NumPy sets a state without a check of its positions, and a wrong one reads memory beyond the state. So each number is
checked here.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

WORD, LONG = 2**32, 2**64


class Field(NamedTuple):
    """One number of a state, or several, each from 0 to below `below`."""

    below: int
    n: int = 0  # 0 for a single number
    is_odd: bool = False


_CACHED = {"has_uint32": Field(2), "uinteger": Field(WORD)}
_PCG = {"state": {"state": Field(2**128), "inc": Field(2**128, is_odd=True)}, **_CACHED}
KINDS: dict[str, dict[str, Any]] = {
    "PCG64": _PCG,
    "PCG64DXSM": _PCG,
    "MT19937": {"state": {"key": Field(WORD, 624), "pos": Field(625)}},
    "Philox": {
        "state": {"counter": Field(LONG, 4), "key": Field(LONG, 2)},
        "buffer": Field(LONG, 4),
        "buffer_pos": Field(5),
        **_CACHED,
    },
    "SFC64": {"state": {"state": Field(LONG, 4)}, **_CACHED},
}
"""NumPy's generators of bits, and the numbers of their states."""


def generator_to_file(rng: np.random.Generator) -> dict[str, Any]:
    """Return the state of a generator.

    Raises
    ------
    ValueError
        If its generator of bits is none of NumPy's.
    """
    state: Any = rng.bit_generator.state
    name = state.get("bit_generator") if isinstance(state, dict) else None
    if name not in KINDS:
        raise ValueError(f"net: expected one of {', '.join(KINDS)} as its generator, got {name!r:.100}; set net.rng")
    found: dict[str, Any] = {"bit_generator": name, **_plain(state, KINDS[name])}
    return found


def generator_from_file(facts: Any) -> np.random.Generator:
    """Return a generator in this state.

    Raises
    ------
    ValueError
        If it is no state of a generator that is known.
    """
    name = facts.get("bit_generator") if isinstance(facts, dict) else None
    if name not in KINDS:
        raise ValueError(f"generator: expected one of {', '.join(KINDS)}, got {facts!r:.100}")
    kind: Any = getattr(np.random, name)
    bits = kind()
    bits.state = {"bit_generator": name, **_checked(facts, KINDS[name])}
    return np.random.Generator(bits)


def _plain(state: Any, parts: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _plain(state[name], part)
        if isinstance(part, dict)
        else np.asarray(state[name]).tolist()
        if part.n
        else int(state[name])
        for name, part in parts.items()
    }


def _checked(facts: Any, parts: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(facts, dict):
        raise ValueError(f"generator: expected a JSON object, got {facts!r:.100}")
    found: dict[str, Any] = {}
    for name, part in parts.items():
        value = facts.get(name)
        if isinstance(part, dict):
            found[name] = _checked(value, part)
            continue
        numbers = value if part.n and isinstance(value, list) else [value]
        if len(numbers) != max(part.n, 1) or not all(_is_number(one, part) for one in numbers):
            expected = f"{max(part.n, 1)} whole numbers from 0 to below 2^{math.log2(part.below):g}"
            raise ValueError(f"generator: expected {expected} as {name}, got {value!r:.100}")
        width: Any = np.uint32 if part.below == WORD else np.uint64
        found[name] = np.array(value, width) if part.n else value
    return found


def _is_number(value: Any, part: Field) -> bool:
    return type(value) is int and 0 <= value < part.below and (not part.is_odd or value % 2 == 1)

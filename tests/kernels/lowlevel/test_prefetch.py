"""Asking for memory: it changes nothing, also where there is no memory, and it is an instruction."""

import numpy as np
import pytest

from mbbp.kernels.lowlevel.compiling import compiled
from mbbp.kernels.lowlevel.prefetch import prefetch
from tests.conftest import JIT


@compiled
def ask(numbers, start):
    prefetch(numbers, start)
    return numbers[0]


@pytest.mark.parametrize("start", [0, 2, 10**12, -(10**12)])
def test_it_changes_nothing(start):
    numbers = np.arange(3.0)
    assert ask(numbers, start) == 0
    np.testing.assert_array_equal(numbers, [0, 1, 2])


@pytest.mark.skipif(not JIT, reason="there is no instruction without compiled code")
def test_it_is_an_instruction():
    ask(np.arange(3.0), 1)
    machine_code = "".join(ask.inspect_asm().values())
    assert "prefetcht0" in machine_code or "prfm" in machine_code

"""The processor that Numba compiles for decides how wide vectors are and how large a tile is."""

import os
import platform
import subprocess
import sys

import llvmlite.binding as llvm
import pytest

from mbbp.kernels.gemm.tile import HALF_VECTOR_BYTES, MASKS_ARE_CHEAP, MR, NR_VECTORS, VECTOR_BYTES
from mbbp.kernels.lowlevel import processor

SHAPE = (VECTOR_BYTES, HALF_VECTOR_BYTES, MR, NR_VECTORS, MASKS_ARE_CHEAP)
WIDE, MIDDLE, NARROW = (64, 32, 8, 3, True), (32, 16, 6, 2, True), (16, 16, 6, 2, False)
HAS = llvm.get_host_cpu_features()
HOST = WIDE if HAS.get("avx512f") else MIDDLE if HAS.get("avx") else NARROW
CASES = {
    "v2": ("x86-64-v2", "", NARROW),
    "v3": ("x86-64-v3", "", MIDDLE),
    "v4": ("x86-64-v4", "", WIDE),
    "an unknown name is taken for the least": ("nehalem", "", NARROW),
    "generic": ("generic", None, NARROW),
    "features alone": (None, "+avx,+avx2,+fma", MIDDLE),
    "more than the name has": ("x86-64-v3", "+avx512f", WIDE),
    "less than the name has": ("x86-64-v4", "-avx512f", MIDDLE),
    "nothing said": (None, None, HOST),
    "a name alone leaves the host's features": ("x86-64-v2", None, HOST),
}
CODE = "from tests.kernels.lowlevel.test_processor import SHAPE; print(SHAPE)"


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names of x86")
@pytest.mark.parametrize(("name", "features", "expected"), CASES.values(), ids=CASES)
def test_vectors_and_tiles_are_the_processors(name, features, expected):
    settings = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}
    environment = {key: value for key, value in os.environ.items() if key not in settings}
    environment |= {key: value for key, value in settings.items() if value is not None}
    found = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, env=environment, timeout=100)
    assert found.stdout.strip() == str(expected), found.stderr


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names of x86")
def test_the_hosts_level_is_what_llvm_says():
    expected = "x86-64-v4" if HAS.get("avx512vl") else "x86-64-v3" if HAS.get("avx2") else "x86-64-v2"
    assert processor.host_level() == expected


@pytest.mark.parametrize(
    ("name", "features", "expected"),
    [
        ("x86-64-v3", "", "x86-64-v3"),
        ("x86-64-v3", "+avx512f", None),
        ("x86-64-v3", None, None),  # Numba then takes the host's features
        ("znver4", "", None),
        (None, None, "the host's"),
    ],
)
def test_the_level_is_that_of_numbas_settings(name, features, expected, monkeypatch):
    for key, value in {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}.items():
        monkeypatch.setenv(key, value or "") if value is not None else monkeypatch.delenv(key, raising=False)
    assert processor.level() == (processor.host_level() if expected == "the host's" else expected)

"""Importing mbbp imports no other program; and without the other program, an error says what to install."""

import subprocess
import sys

import pytest

import mbbp
from tests.exchange.networks import made

OTHERS = ("torch", "keras", "jax", "onnx", "onnxruntime", "safetensors", "sklearn", "google.protobuf", "tensorflow")


def test_importing_mbbp_imports_no_other_program():
    code = f"import mbbp, sys; print([name for name in {OTHERS!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("module", "call"),
    [
        ("safetensors.numpy", lambda path: mbbp.to_safetensors(made(), path)),
        ("safetensors", lambda path: mbbp.from_safetensors(path)),
        ("onnx", lambda path: mbbp.to_onnx(made(), path)),
        ("onnx", lambda path: mbbp.from_onnx(path)),
        ("torch", lambda path: mbbp.to_torch(made())),
        ("torch", lambda path: mbbp.from_torch(None)),
        ("keras", lambda path: mbbp.from_keras(None)),
        ("jax", lambda path: mbbp.to_jax(made())),
    ],
)
def test_a_missing_package_is_named_with_what_to_install(module, call, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    package = module.partition(".")[0]
    with pytest.raises(ImportError, match=rf"^(to|from)_{package}: needs {package}; pip install {package}$"):
        call(tmp_path / "file")
    assert not list(tmp_path.iterdir())

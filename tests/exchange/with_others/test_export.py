"""The command line writes the formats that need another program."""

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("safetensors")

import onnxruntime

import mbbp
from mbbp.cli import main


def test_onnx_and_safetensors(tmp_path, capsys):
    data = mbbp.datasets.load_digits()
    model = tmp_path / "m.npz"
    assert main(["train", "--epochs", "2", "--save", str(model)]) == 0
    net, X = mbbp.load(model), data.x_test.astype(np.float32)
    for ending in ("onnx", "safetensors"):
        assert main(["export", str(model), "--out", str(tmp_path / f"m.{ending}")]) == 0
    assert capsys.readouterr().out.count("wrote ") == 3
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    labels, probabilities = session.run(None, {session.get_inputs()[0].name: X.T})
    np.testing.assert_array_equal(labels, net.classify(X))
    np.testing.assert_allclose(probabilities, net.feedforward(X).T, atol=2e-6)
    back = mbbp.from_safetensors(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(back.feedforward(X), net.feedforward(X))
    assert back.schema.classes == data.classes

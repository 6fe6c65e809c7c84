"""The README: its code runs, its commands parse, and its names exist."""

import re
import shlex
from pathlib import Path

import pytest

import mbbp.cli
from tests.conftest import JIT

TEXT = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.skipif(not JIT, reason="thirty epochs need compiled kernels")
def test_the_python_runs(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some of it writes files
    namespace, nets = {}, []
    assert len(blocks("python")) == 12
    for block in blocks("python"):
        exec(block, namespace)
        nets.append(namespace["net"])
    namespace["trained"] = nets[0]
    assert namespace["predictions"].classes.shape == namespace["y"].shape
    assert mbbp.load("digits.mbbp").metadata == {"trained on": "the 8x8 digits"}
    assert "the gradient is right" in capsys.readouterr().out
    assert namespace["trained"].accuracy(namespace["X"], namespace["y"]) > 0.96
    (own,) = {id(net): net for net in nets if len(net.history) == 10}.values()  # with custom functions
    costs = own.history["training_cost"]
    assert costs[-1] < costs[5] < costs[0]
    assert namespace["cost"] < costs[0]
    assert len(namespace["net"].history) <= 50
    assert namespace["fits"].diverged == ()
    assert mbbp.Ensemble.load("ensemble.npz").accuracy(namespace["X"], namespace["y"]) > 0.9
    assert namespace["found"].best_score < 0.3
    assert namespace["rows"].n == namespace["data"].x_train.shape[1]


def test_every_command_parses():
    commands = re.findall(r"^(mbbp .*)$", "\n".join(blocks("sh")), re.MULTILINE)
    assert len(commands) == 15
    for command in commands:
        options = mbbp.cli.make_parser().parse_args(shlex.split(command, comments=True)[1:])
        assert callable(options.run)


def test_every_name_in_the_tables_exists():
    for names in (
        mbbp.activations.ACTIVATIONS,
        mbbp.costs.COSTS,
        mbbp.initializers.INITIALIZERS,
        mbbp.solvers.OPTIMIZERS,
        mbbp.solvers.SOLVERS,
    ):
        for name in names:
            assert re.search(rf"\b{name}\b", TEXT)

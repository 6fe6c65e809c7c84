"""The README shows only what works."""

import re
import shlex
from pathlib import Path

import pytest

import mbbp.cli
from tests.conftest import JIT

TEXT = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.skipif(not JIT, reason="thirty epochs want compiled kernels")
def test_the_python_runs(capsys):
    namespace = {}
    assert len(blocks("python")) == 3
    for block in blocks("python"):
        exec(block, namespace)
    assert "the gradient is right" in capsys.readouterr().out
    assert namespace["net"].accuracy(namespace["X"], namespace["y"]) > 0.96
    assert namespace["own"].history[-1].training_cost < namespace["own"].history[0].training_cost


def test_every_command_parses():
    commands = re.findall(r"^(mbbp .*)$", "\n".join(blocks("sh")), re.MULTILINE)
    assert len(commands) == 9
    for command in commands:
        options = mbbp.cli.make_parser().parse_args(shlex.split(command)[1:])
        assert callable(options.run)


def test_every_name_in_the_tables_exists():
    for names in (
        mbbp.activations.ACTIVATIONS,
        mbbp.costs.COSTS,
        mbbp.initializers.INITIALIZERS,
        mbbp.optimizers.OPTIMIZERS,
    ):
        for name in names:
            assert re.search(rf"\b{name}\b", TEXT)

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
def test_the_python_runs(capsys):
    namespace = {}
    assert len(blocks("python")) == 7
    for block in blocks("python"):
        exec(block, namespace)
        if "trained" not in namespace:
            namespace["trained"] = namespace["net"]
    assert "the gradient is right" in capsys.readouterr().out
    assert namespace["trained"].accuracy(namespace["X"], namespace["y"]) > 0.96
    costs = namespace["net"].history["training_cost"]
    assert len(costs) == 10
    assert costs[-1] < costs[5] < costs[0]
    assert namespace["cost"] < costs[0]


def test_every_command_parses():
    commands = re.findall(r"^(mbbp .*)$", "\n".join(blocks("sh")), re.MULTILINE)
    assert len(commands) == 10
    for command in commands:
        options = mbbp.cli.make_parser().parse_args(shlex.split(command, comments=True)[1:])
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

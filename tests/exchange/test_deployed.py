"""A network in a C program: the README's own lines are run, and the program classifies as the network does."""

import re
from pathlib import Path

import numpy as np
import pytest

import mbbp
from tests.conftest import JIT
from tests.exchange.compilers import FOUND, NO_COMPILER, run

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SECTION = README.split("\n### C\n")[1].split("\n## ")[0].split("\n### ")[0]


def block(language):
    (found,) = re.findall(rf"```{language}\n(.*?)```", SECTION, re.DOTALL)
    return found


@pytest.mark.skipif(not FOUND, reason=NO_COMPILER)
@pytest.mark.skipif(not JIT, reason="thirty epochs need compiled kernels")
def test_the_program_of_the_readme_classifies_as_the_network_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    exec(block("py"), namespace)
    (tmp_path / "main.c").write_text(block("c"), encoding="ascii")
    net, data = namespace["net"], namespace["data"]
    build, call = block("sh").splitlines()
    assert build == "cc -std=c99 -O2 main.c -o digits -lm"
    assert call == "./digits < digits.txt"
    for weights in ("int8", "float32"):
        if weights != "int8":  # the README's is int8
            mbbp.to_c(net, "digits.h", name="digits", weights=weights, X=data.x_test, y=data.y_test)
        header = (tmp_path / "digits.h").read_text(encoding="ascii")
        told = re.search(r"Accuracy on them: ([\d.]+)% in mbbp, ([\d.]+)% here", header)
        for compiler in FOUND.values():
            program = compiler.program(tmp_path / "main.c", tmp_path / "digits")
            labels = run([str(program)], input=(tmp_path / "digits.txt").read_bytes()).stdout
            accuracy = np.mean(np.array(labels.split(), int) == data.y_test)
            assert accuracy == net.accuracy(data.x_test, data.y_test) > 0.96
            assert [f"{accuracy:.2%}"] * 2 == [f"{one}%" for one in told.groups()]

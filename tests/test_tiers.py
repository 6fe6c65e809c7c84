"""The tables of `tests.tiers` name tests and files that exist."""

import re
from pathlib import Path

import pytest

from tests import tiers

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("marker", tiers.MARKERS)
def test_every_name_is_that_of_a_test(marker):
    files = (ROOT / "tests").rglob("test_*.py")
    there = {name for path in files for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))}
    assert tiers.MARKERS[marker] - there == set()


def test_what_runs_as_plain_python_is_there():
    assert [path for path in tiers.AS_PLAIN_PYTHON if not (ROOT / path).exists()] == []

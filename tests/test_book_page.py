"""The page that leads from the book's sections to notebooks, functions and commands: all that it names is there."""

import pkgutil
import re
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

from mbbp import chapter2
from mbbp.cli import make_parser

FOLDER = Path(__file__).parent.parent / "notebooks"
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")
LINKS = re.findall(r"\[([^\]]+)\]\(([^)\s]+)\)", PAGE)
INSIDE = sorted({(text, target) for text, target in LINKS if "://" not in target})
ROWS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines() if line.startswith("| ")][1:]
WORDS = sorted(set(re.findall(r"`(mbbp[ .][^`]+)`", PAGE)))
SECTIONS = (
    "Warm up: a fast matrix-based approach to computing the output from a neural network",
    "The two assumptions we need about the cost function",
    "The Hadamard product",
    "The four fundamental equations behind backpropagation",
    "Proof of the four fundamental equations",
    "The backpropagation algorithm",
    "The code for backpropagation",
    "In what sense is backpropagation a fast algorithm?",
    "Backpropagation: the big picture",
)


def headings(path):
    """Return the headings of a notebook, by the anchors that Jupyter gives them."""
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    found = [heading for text in texts for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)]
    return {heading.replace(" ", "-"): heading for heading in found}


@pytest.mark.parametrize(("text", "target"), INSIDE)
def test_a_link_leads_to_a_section_of_a_notebook(text, target):
    name, _, anchor = target.partition("#")
    found = headings(FOLDER / name)
    assert unquote(anchor) in found
    if text[1] == ":":  # the number of the notebook and the heading
        assert text == f"{int(name[:2])}: {found[unquote(anchor)]}"


@pytest.mark.parametrize("name", [word for word in WORDS if word.startswith("mbbp.")])
def test_a_function_is_there(name):
    assert pkgutil.resolve_name(name)


@pytest.mark.parametrize("command", [word for word in WORDS if word.startswith("mbbp ")])
def test_a_command_is_understood(command):
    assert make_parser().parse_args(command.split()[1:]).command == command.split()[1]


def test_every_section_of_the_chapter_has_a_notebook_and_a_function():
    assert [row[0] for row in ROWS if row[0] in SECTIONS] == list(SECTIONS)
    for _, notebooks, functions, _ in ROWS:
        assert notebooks.startswith("[")
        assert functions.startswith("`mbbp.")


def test_every_notebook_and_every_kind_of_command_is_named():
    assert {target.partition("#")[0] for _, target in INSIDE} == {path.name for path in FOLDER.glob("*.ipynb")}
    assert {word.split()[1] for word in WORDS if word.startswith("mbbp ")} == {"train", "check", "diagnose", "bench"}


def test_every_function_of_chapter_2_is_named():
    functions = {name for name in chapter2.__all__ if name[0].islower()} - {"parameters", "pass_table"}
    aliases = {"output_error": "bp1", "backpropagated_error": "bp2", "bias_gradient": "bp3", "weight_gradient": "bp4"}
    named = {word.removeprefix("mbbp.chapter2.").removeprefix("mbbp.") for word in WORDS}
    assert [name for name in sorted(functions) if name not in named and aliases.get(name) not in named] == []

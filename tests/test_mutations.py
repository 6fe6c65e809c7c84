"""The damaged files themselves: a mutator that changes nothing would find nothing."""

import pytest

from tests.mutations import KINDS, mutations, unclear_errors

CONTENT = bytes(range(256)) * 4


def test_nearly_every_mutation_is_another_content():
    found = list(mutations(CONTENT, 1000))
    assert len(found) == 1000
    assert len(set(found)) > 900
    assert sum(damaged == CONTENT for damaged in found) < 50


def test_the_same_seed_gives_the_same_files():
    assert list(mutations(CONTENT, 50, seed=1)) == list(mutations(CONTENT, 50, seed=1))
    assert list(mutations(CONTENT, 50, seed=1)) != list(mutations(CONTENT, 50, seed=2))


@pytest.mark.parametrize("content", [b"x", b"ab"])
def test_short_files_can_be_damaged(content):
    assert len(list(mutations(content, 500))) == 500


def test_every_kind_is_used(monkeypatch):
    used = set()
    kinds = [lambda content, rng, kind=kind: used.add(kind) or kind(content, rng) for kind in KINDS]
    monkeypatch.setattr("tests.mutations.KINDS", kinds)
    assert list(mutations(CONTENT, 200))
    assert used == set(KINDS)


@pytest.mark.parametrize(
    ("error", "is_clear"),
    [
        (lambda path: ValueError(f"{path}: expected a file, got another"), True),
        (lambda path: ValueError("expected a file, got another"), False),
        (lambda path: ValueError(f"{path}" + "x" * 2000), False),
        (lambda path: UnicodeDecodeError("utf-8", b"", 0, 1, f"{path}"), False),
        (lambda path: OSError(f"{path}"), False),
        (lambda path: RecursionError(), False),
        (lambda path: SystemExit(), False),
    ],
)
def test_an_error_must_be_a_value_error_that_names_the_file(error, is_clear, tmp_path):
    def read(path):
        raise error(path)

    faults = unclear_errors(read, tmp_path / "file", [b"x"])
    assert len(faults) == (not is_clear)


def test_a_result_must_be_sound(tmp_path):
    assert unclear_errors(lambda path: 5, tmp_path / "file", [b"x", b"y"]) == []
    faults = unclear_errors(lambda path: 5, tmp_path / "file", [b"x", b"y"], is_sound=lambda result: result == 6)
    assert faults == [("accepted as 5", b"x"), ("accepted as 5", b"y")]

"""Writing files: the old one is there until the new one is complete, whoever else writes or reads."""

import os
import stat
import threading
from multiprocessing import get_context
from pathlib import Path

import pytest

from mbbp.files import check_can_be_written, write_aside, write_text


@pytest.mark.parametrize("name", ["a.txt", "a.tar.gz", "bare", ".hidden"])
@pytest.mark.parametrize("as_text", [True, False])
def test_write_aside(name, as_text, tmp_path):
    path, seen = tmp_path / name, []

    def write_to(aside):
        seen.append(aside)
        aside.write_text("new")
        assert path.read_text() == "old"

    path.write_text("old")
    write_aside(str(path) if as_text else path, write_to)
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]
    assert seen[0].parent == tmp_path  # a file on another disk could not be renamed to `path`
    assert not path.suffix or seen[0].suffix == path.suffix  # what writes the file chooses the format by the ending


def test_write_aside_that_writes_nothing_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(FileNotFoundError):
        write_aside(path, lambda aside: None)
    assert path.read_text() == "old"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("wanted", [0o600, 0o640, 0o664, 0o400])
def test_the_new_file_has_the_permissions_of_the_old_one(wanted, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(wanted)
    write_text(path, "new")
    assert mode(path) == wanted
    assert path.read_text() == "new"


def test_a_new_file_has_the_permissions_that_new_files_get(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "new")
    finally:
        os.umask(before)
    assert mode(tmp_path / "a.txt") == 0o640


@pytest.mark.parametrize("exists", [True, False])
def test_a_symbolic_link_stays_one(exists, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "blob", tmp_path / "a.txt"
    link.symlink_to(Path("elsewhere", "blob"))
    if exists:
        target.write_text("old")
    endings = []
    write_aside(link, lambda aside: endings.append(aside.suffix) or aside.write_text("new"))
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert endings == [".txt"]  # the format is that of the name that was given
    assert list(target.parent.iterdir()) == [target]


def test_a_file_of_the_users_is_never_used_as_the_temporary_one(tmp_path):
    kept = tmp_path / ".a.part.txt"
    kept.write_text("the user's own")
    write_text(tmp_path / "a.txt", "new")
    assert kept.read_text() == "the user's own"


def test_a_name_as_long_as_a_name_may_be(tmp_path):
    path = tmp_path / ("ä" * 125 + ".txt")
    write_text(path, "new")
    assert path.read_text() == "new"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="this system does not tell what a number stands for")
def test_the_content_is_on_the_disk_before_it_has_the_name(tmp_path, monkeypatch):
    path, done = tmp_path / "a.txt", []
    sync, replace = os.fsync, Path.replace

    def sync_and_note(number):
        done.append(str(Path(f"/proc/self/fd/{number}").readlink()))
        sync(number)

    monkeypatch.setattr(os, "fsync", sync_and_note)
    monkeypatch.setattr(Path, "replace", lambda aside, target: done.append("rename") or replace(aside, target))
    write_text(path, "new")
    first, *others = done
    assert first.endswith(".part.txt")
    assert others == ["rename", str(tmp_path)]


LETTERS, LENGTH, TIMES = "abcd", 50_000, 60


def write_often(path, letter):
    for _ in range(TIMES):
        write_text(path, letter * LENGTH)


@pytest.mark.parametrize("kind", ["threads", pytest.param("processes", marks=pytest.mark.slow)])
def test_several_writers_and_a_reader_never_see_a_mixture(kind, tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "z" * LENGTH)
    if kind == "threads":
        writers = [threading.Thread(target=write_often, args=(path, letter)) for letter in LETTERS]
    else:
        writers = [get_context("spawn").Process(target=write_often, args=(path, letter)) for letter in LETTERS]
    for writer in writers:
        writer.start()
    reads = 0
    while reads == 0 or any(writer.is_alive() for writer in writers):
        text = path.read_text()
        assert text == text[0] * LENGTH
        reads += 1
    for writer in writers:
        writer.join()
    assert all(getattr(writer, "exitcode", 0) == 0 for writer in writers)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text()[0] in LETTERS


def test_whether_a_file_can_be_written_is_asked_where_a_link_leads(tmp_path):
    link = tmp_path / "a.txt"
    link.symlink_to(tmp_path / "missing" / "a.txt")
    with pytest.raises(ValueError, match="--json: expected a folder that can be written to"):
        check_can_be_written("--json", link, [".txt"])
    check_can_be_written("--json", tmp_path / "b.txt", [".txt"])

"""IDX files, plain and compressed, and the errors for bad ones."""

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mbbp.datasets import read_idx
from tests.datasets.idx_files import idx


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)), st.booleans())
def test_idx_round_trip(tmp_path_factory, array, compress):
    path = tmp_path_factory.mktemp("round") / "array"
    path.write_bytes(gzip.compress(idx(array)) if compress else idx(array))
    decoded = read_idx(path)
    assert decoded.shape == array.shape
    assert np.array_equal(decoded, array)


def test_gzip_may_give_its_content_in_many_pieces(tmp_path):
    path, content = tmp_path / "array", idx([[1, 2, 3], [4, 5, 6]])
    path.write_bytes(b"".join(gzip.compress(content[i : i + 1], mtime=0) for i in range(len(content))))
    assert read_idx(path).tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("name", ["a-idx2-ubyte", "a-idx2-ubyte.gz"])
@pytest.mark.parametrize("compress", [False, True])
def test_read_idx_finds_gzip_by_its_content(tmp_path, name, compress):
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    path = tmp_path / name
    path.write_bytes(gzip.compress(idx(array)) if compress else idx(array))
    read = read_idx(str(path))
    assert read.dtype == np.uint8
    assert read.tolist() == [[0, 1, 2], [3, 4, 5]]
    read += 1  # the array belongs to the caller, who may change it


GOOD = idx([[1, 2, 3], [4, 5, 6]])
ZIPPED = gzip.compress(GOOD, mtime=0)  # with the time, the tests that show these bytes would change their names


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected the magic number 0x000008 and a number of dimensions, got 0x"),
        (b"<htm", "expected the magic number 0x000008 and a number of dimensions, got 0x3c68746d"),
        (b"\0\0\x0d\2" + GOOD[4:], "expected the magic number 0x000008 and a number of dimensions, got 0x00000d02"),
        (b"\0\0\x08\0", "expected the magic number 0x000008 and a number of dimensions, got 0x00000800"),
        (GOOD[:3], "expected the magic number 0x000008 and a number of dimensions, got 0x000008"),
        (GOOD[:11], "expected a header of 12 bytes, got 11; the file is truncated"),
        (GOOD[:-1], "expected 2 x 3 = 6 bytes of data, got 5; the file is truncated"),
        (GOOD + b"\0", "expected 2 x 3 = 6 bytes of data, got 7; the file has extra bytes at its end"),
        (b"\0\0\x08\x41" + bytes(3 + 4 * 65), "expected at most 32 dimensions, got 65"),
        (b"\0\0\x08\4" + bytes(4) + b"\xff" * 12, "expected dimensions of an array, got (0, 4294967295, "),
        (gzip.compress(GOOD + b"\0", mtime=0), "expected 2 x 3 = 6 bytes of data, got more; the file has extra bytes"),
        (gzip.compress(GOOD[:-1], mtime=0), "expected 2 x 3 = 6 bytes of data, got 5; the file is truncated"),
        (
            gzip.compress(b"\0\0\x08\4" + b"\x7f" * 16, mtime=0),
            f"expected 2139062143 x 2139062143 x 2139062143 x 2139062143 = {2139062143**4} bytes of data, got at most ",
        ),
        (ZIPPED[:-3], "expected a valid gzip file, got a corrupt one; "),
        (ZIPPED[:-8] + bytes(8), "expected a valid gzip file, got a corrupt one; CRC check failed"),
        (ZIPPED[:10] + b"\xff" * 20, "expected a valid gzip file, got a corrupt one; "),
        (b"\x1f\x8b", "expected a valid gzip file, got a corrupt one; "),
    ],
)
def test_read_idx_says_what_is_wrong(tmp_path, content, message):
    path = tmp_path / "bad"
    path.write_bytes(content)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the beginning of the message is compared below
        read_idx(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_read_idx_of_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_idx(tmp_path / "nowhere")

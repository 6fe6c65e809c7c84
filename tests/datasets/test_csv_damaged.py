"""Damaged CSV files: each is read, or refused by an error that names the file."""

import warnings

import numpy as np

from mbbp.datasets import load_csv

TABLES = [
    b"\xef\xbb\xbflength,colour,\xc3\xa9t\xc3\xa9,species\n5.1,red,1,a\n7,blue,0,b\n-6.3e0,red,1,a\n9,green,0,b\n",
    b'id,"a ""b""",when,y\r\n1,"x, y",12,0.5\r\n2,z,13,1.5\r\n3,"two\r\nlines",14,1e3\r\n',
    b"1,2,NA\n3,,1\n4,5,0\nTrue,False,1\n",
    b"0,1\n" * 40,
]
PIECES = [b",", b"\n", b"\r", b'"', b"\0", b"\xff", b"\xef\xbb\xbf", b";", b" ", b"nan", b"inf", b"1e999", b"9" * 5000]
PIECES += [b"-", b"?", b"2024-01-31", b"True", b"1_0", b"\xd9\xa1", b"0x1F", b"#", b"\\", b"'", b"a" * 200_000]


def mutated(rng, table):
    """Return a table of which some bytes are changed, removed, repeated or replaced by another piece."""
    content = bytearray(table)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(0, len(content) + 1))
        length = int(rng.integers(1, 12))
        kind = rng.integers(0, 9)
        if kind == 0 and at < len(content):
            content[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1:
            del content[at : at + length]
        elif kind == 2:
            content[at:at] = content[at : at + length] * int(rng.integers(1, 4))
        elif kind == 3:
            content = content[:at]
        elif kind < 7:
            content[at : at + 1] = b"0123456789.-eabT ?"[(one := int(rng.integers(0, 18))) : one + 1]
        else:
            content[at : at + (0 if kind == 7 else length)] = PIECES[int(rng.integers(0, len(PIECES)))]
    return bytes(content)


def check_mutated(path, seeds):
    """Load mutated files. Each is read, or refused by an error that names the file or an argument."""
    read = 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        path.write_bytes(mutated(rng, TABLES[seed % len(TABLES)]))
        options = {
            "regression": bool(rng.integers(0, 2)),
            "missing": str(rng.choice(["refuse", "drop", "mean", "median"])),
            "header": [None, True, False][rng.integers(0, 3)],
            "categorical": [(), 0][rng.integers(0, 2)],
            "test_fraction": float(rng.choice([0, 0.3])),
        }
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                data = load_csv(path, **options)
        except ValueError as error:
            assert str(error).startswith((str(path), "test_fraction: ")), f"seed {seed}: {error!r}"  # noqa: PT017
            assert type(error) is ValueError, f"seed {seed}: {error!r}"  # noqa: PT017
            continue
        read += 1
        assert np.isfinite(data.x_train).all(), f"seed {seed}"
        assert len(data.x_train) == len(data.feature_names), f"seed {seed}"
    return read


def test_mutated_files_are_read_or_refused(tmp_path):
    assert 20 < check_mutated(tmp_path / "table.csv", range(200)) < 180


def test_many_mutated_files_are_read_or_refused(tmp_path):
    check_mutated(tmp_path / "table.csv", range(1000, 101_000))

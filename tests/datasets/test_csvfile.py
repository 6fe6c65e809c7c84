"""Loading a CSV file: headers, labels, quoting, and errors that give the line and the column."""

import csv
import io
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbbp.datasets import load_csv


@pytest.fixture
def save(tmp_path):
    def write(text):
        path = tmp_path / "table.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def whole(path, **options):
    """Return all samples in the order of the file, as rows and their classes: without the split and the shuffle."""
    data = load_csv(path, test_fraction=0, dtype="float64", **options)
    order = np.argsort(np.random.default_rng(0).permutation(data.x_train.shape[1]))
    y = data.y_train[..., order]
    names = y[0].tolist() if data.classes is None else [data.classes[k] for k in y]
    return data.x_train.T[order].tolist(), names


FLOWERS = "5.1,3.5,setosa\n7,3.2,versicolor\n-6.3e0,3.3,setosa\n"
FLOWERS_READ = ([[5.1, 3.5], [7, 3.2], [-6.3, 3.3]], ["setosa", "versicolor", "setosa"])


@pytest.mark.parametrize(
    "text",
    [
        FLOWERS,
        "length,width,species\n" + FLOWERS,
        FLOWERS.removesuffix("\n"),
        FLOWERS.replace("\n", "\r\n"),
        "length,width,species\n".replace("\n", "\r\n") + FLOWERS.replace("\n", "\r\n"),
        "\ufeff" + FLOWERS,
        "\ufefflength,width,species\n" + FLOWERS,
        "\n" + FLOWERS.replace("\n", "\n\n"),
        "\n\nlength,width,species\n\n" + FLOWERS,
        FLOWERS.replace(",", " , "),
        '"a ""b"", c","two\nlines",z\n' + FLOWERS.replace("setosa", '"setosa"').replace("7", '"7"'),
        ",width,\n" + FLOWERS,
    ],
)
def test_the_same_table_in_many_spellings(save, text):
    assert whole(save(text)) == FLOWERS_READ


def test_other_delimiters(save):
    assert whole(save(FLOWERS.replace(",", ";")), delimiter=";") == FLOWERS_READ
    assert whole(save(FLOWERS.replace(",", "\t")), delimiter="\t") == FLOWERS_READ


def test_hash_signs_do_not_begin_comments(save):
    assert whole(save("#a,b,#c\n1,2,#x\n3,4,#y\n"), label="#c") == ([[1, 2], [3, 4]], ["#x", "#y"])


@pytest.mark.parametrize("label", ["species", 0, -3])
def test_the_label_by_name_or_index(save, label):
    text = "species,length,width\nb,1,2\na,3,4\n"
    assert whole(save(text), label=label) == ([[1, 2], [3, 4]], ["b", "a"])


def test_the_label_in_the_middle(save):
    assert whole(save("1,b,2\n3,a,4\n"), label=1) == ([[1, 2], [3, 4]], ["b", "a"])


def test_header_is_as_the_argument_says(save):
    numbers = save("0,1,2\n3,4,5\n")
    assert whole(numbers) == ([[0, 1], [3, 4]], ["2", "5"])
    assert whole(numbers, header=True) == ([[3, 4]], ["5"])
    assert whole(numbers, header=True, label="1") == ([[3, 5]], ["4"])


def test_whole_number_labels_are_sorted_as_numbers(save):
    data = load_csv(save("1,10\n2,9\n3,9.0\n4,-2\n"), test_fraction=0)
    assert data.classes == ("-2", "9", "10")
    assert dict(zip(data.x_train[0].tolist(), data.y_train.tolist(), strict=True)) == {1: 2, 2: 1, 3: 1, 4: 0}


def test_a_split_data_set(save):
    text = "a,b,y\n" + "".join(f"{i},{-i},c{i}\n" for i in range(10))
    data = load_csv(save(text), rng=3)
    assert repr(data) == "Dataset('table', x_train (2, 8), x_test (2, 2), float32, 10 classes)"
    assert data.x_train.flags.f_contiguous
    assert data.x_test.flags.f_contiguous
    assert data.y_train.dtype == np.int64
    for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
        assert x[0].tolist() == y.tolist()
        assert (-x[1]).tolist() == y.tolist()


def test_real_targets(save):
    assert whole(save("1,2,0.5\n3,4,-1e3\n"), regression=True) == ([[1, 2], [3, 4]], [0.5, -1000])
    data = load_csv(save("1,2,0.5\n3,4,-1e3\n"), regression=True)
    assert data.y_train.shape == data.y_test.shape == (1, 1)
    assert data.y_train.dtype == np.float32
    assert data.classes is None


def test_standardized(save):
    data = load_csv(save("1,5,a\n3,5,b\n"), test_fraction=0, standardize=True)
    assert sorted(data.x_train[0].tolist()) == [-1, 1]
    assert data.x_train[1].tolist() == [0, 0]


finite = st.floats(allow_nan=False, allow_infinity=False)
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6).map(lambda s: "c" + s.strip())


@settings(deadline=None)  # writing files can take long
@given(st.data(), st.integers(1, 4), st.booleans())
def test_what_the_csv_module_writes_is_read_back(data, width, header):
    rows = data.draw(st.lists(st.tuples(*[finite] * width, names), min_size=1, max_size=6))
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    if header:
        writer.writerow([f"x{i}" for i in range(width)] + ["class"])
    writer.writerows(rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.csv")
        path.write_bytes(text.getvalue().encode())
        assert whole(path) == ([list(row[:-1]) for row in rows], [row[-1].strip() for row in rows])


# --- errors: each message gives the file, and the line and the column if there are any

HEADER = "length,width,species\n"
LONG = "1,2,a\n" * 70_000


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, ": expected rows of numbers and a label, got an empty file"),
        ("\n\n", {}, ": expected rows of numbers and a label, got an empty file"),
        (HEADER, {}, ": expected rows of numbers and a label below the header, got none"),
        (HEADER + "\n\n", {}, ": expected rows of numbers and a label below the header, got none"),
        ("1\n2\n", {}, ": expected columns of features and a label, got one column; is delimiter=',' right?"),
        (FLOWERS.replace(",", ";"), {}, ": expected columns of features and a label, got one column"),
        (HEADER + "1,2,a\nx,2,a\n", {}, ", line 3, column 'length': expected a number, got 'x'"),
        ("1,2,a\n3,x,a\n", {}, ", line 2, column 2: expected a number, got 'x'"),
        ("1,2,a\n3,1_0,a\n", {}, ", line 2, column 2: expected a number, got '1_0'"),
        ("1,2,a\n3,\u0661,a\n", {}, ", line 2, column 2: expected a number, got '\u0661'"),
        ("1,3e38,a\n3e38,3e38,\u0661\n1,1e39,a", {}, ", line 3, column 2: expected a finite number in float"),
        ("length,2,a\n3,4,a\n", {}, ", line 1, column 1: expected a number, got 'length'"),
        (HEADER + "1,2,a\n", {"header": False}, ", line 1, column 1: expected a number, got 'length'"),
        (HEADER + "1,,a\n", {}, ", line 2, column 'width': expected a number or a label, got an empty field"),
        (HEADER + "1,2,\n", {}, ", line 2, column 'species': expected a number or a label, got an empty field"),
        (HEADER + "1,2,a\n1,2, \n", {}, ", line 3, column 'species': expected a number or a label, got an empty field"),
        (HEADER + "1,2,a\n\n1,nan,a\n", {}, ", line 4, column 'width': expected a finite number in float"),
        ("nan,nan,nan\n1,2,3\n", {}, ", line 1, column 1: expected a finite number in float"),
        ("1,2,a\n-inf,4,a\n", {}, ", line 2, column 1: expected a finite number in float32, got '-inf'"),
        ("1,2,a\n1e300,4,a\n", {}, ", line 2, column 1: expected a finite number in float32, got '1e300'"),
        (
            "1,2,a\n" + "9" * 400 + ",4,a\n",
            {"dtype": "float64"},
            ", line 2, column 1: expected a finite number in float64, got '999",
        ),
        (HEADER + "1,2,a\n1,a\n", {}, ", line 3: expected 3 fields, got 2"),
        (HEADER + "1,2,a\n1,2,3,a\n", {}, ", line 3: expected 3 fields, got 4"),
        (HEADER + "1,a\n", {}, ", line 2: expected 3 fields, got 2"),
        (HEADER + "1,2,3,a\n1,2,3,b\n", {}, ", line 2: expected 3 fields, got 4"),
        ("1,2,a\n  \n", {}, ", line 2: expected 3 fields, got 1"),
        ('a,b,"two\nlines"\n1,2,"two\nlines"\n1,x,a\n', {}, ", line 5, column 'b': expected a number, got 'x'"),
        ("1,2,a\r\n1,x,a\r\n", {}, ", line 2, column 2: expected a number, got 'x'"),
        (LONG + "1,x,a\n", {}, ", line 70001, column 2: expected a number, got 'x'"),
        (LONG + "1,a\n", {}, ", line 70001: expected 3 fields, got 2"),
        (
            HEADER + "1,2,0\n1,2,0.5\n",
            {},
            ", line 3, column 'species': expected a whole number or text as a label, got '0.5'",
        ),
        ("0.5,2,1\n1,2,nan\n", {}, ", line 2, column 3: expected a whole number or text as a label, got 'nan'"),
        (HEADER + "1,2,a\n", {"regression": True}, ", line 2, column 'species': expected a number, got 'a'"),
        ("1,2,3\n1,2,inf\n", {"regression": True}, ", line 2, column 3: expected a finite number in float"),
        ("1,2,3\n1,2,\n", {"regression": True}, ", line 2, column 3: expected a number or a label, got an empty field"),
        (b"1,2,\xff\n", {}, ": expected UTF-8 text, got other bytes; "),
        (LONG.encode() + b"1,2,\xff\n", {}, ": expected UTF-8 text, got other bytes; "),
        (
            "1,2," + "a" * 200_000 + "\n",
            {},
            ", line 1: expected valid CSV, got an invalid record; field larger than field limit",
        ),
    ],
)
def test_errors_give_the_place(save, text, options, message):
    path = save(text)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the beginning of the message is compared below
        load_csv(path, **options)
    assert str(caught.value).startswith(f"{path}{message}")


@pytest.mark.parametrize(
    ("text", "label", "message"),
    [
        (FLOWERS, "kind", "expected a column's index, got 'kind'; {} has no header"),
        (
            HEADER + FLOWERS,
            "kind",
            "expected a column's name, got 'kind'; the header of {} is ['length', 'width', 'species']",
        ),
        (
            "a,a,b\n1,2,3\n",
            "a",
            "expected a name that only one column has, got 'a'; the header of {} is ['a', 'a', 'b']",
        ),
        (FLOWERS, 3, "expected -3 to 2, got 3; {} has 3 columns"),
        (FLOWERS, -4, "expected -3 to 2, got -4; {} has 3 columns"),
    ],
)
def test_a_label_that_is_no_column_is_refused(save, text, label, message):
    path = save(text)
    with pytest.raises(ValueError, match=f"^{re.escape('label: ' + message.format(path))}$"):
        load_csv(path, label=label)


def test_the_error_for_real_labels_suggests_regression(save):
    with pytest.raises(ValueError, match="for real targets use regression=True"):
        load_csv(save("1,0.5\n2,1\n"))


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", "\r"])
def test_delimiter_is_checked(save, delimiter):
    with pytest.raises(ValueError, match="delimiter: expected one character, not a quote or a line end, got"):
        load_csv(save(FLOWERS), delimiter=delimiter)


@pytest.mark.parametrize("fraction", [1, -1e-9, float("nan")])
def test_test_fraction_is_checked_before_the_file(tmp_path, fraction):
    with pytest.raises(ValueError, match=r"test_fraction: expected a number in \[0, 1\), got "):
        load_csv(tmp_path / "nowhere.csv", test_fraction=fraction)


def test_one_sample_cannot_be_split(save):
    with pytest.raises(ValueError, match=r"test_fraction: expected two or more samples to split by 0\.2, got 1"):
        load_csv(save("1,2,a\n"))


def test_dtype_is_checked(save):
    with pytest.raises(ValueError, match="dtype: expected "):
        load_csv(save(FLOWERS), dtype="int8")


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_csv(tmp_path / "nowhere.csv")


def test_the_file_is_not_changed(save):
    path = save(FLOWERS)
    load_csv(path, standardize=True)
    assert path.read_text() == FLOWERS

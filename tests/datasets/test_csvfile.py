"""Loading a CSV file: headers, targets, one-hot, missing values, and errors that give the column and the row."""

import csv
import io
import re
import sys
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
    assert whole(save("#a,b,#c\n1,2,#x\n3,4,#y\n"), target="#c") == ([[1, 2], [3, 4]], ["#x", "#y"])


@pytest.mark.parametrize("target", ["species", 0, -3, ["species"], (0,)])
def test_the_target_by_name_or_index(save, target):
    text = "species,length,width\nb,1,2\na,3,4\n"
    assert whole(save(text), target=target) == ([[1, 2], [3, 4]], ["b", "a"])


@pytest.mark.parametrize("target", [1, "1"])
def test_the_target_in_the_middle_of_a_file_without_a_header(save, target):
    assert whole(save("1,b,2\n3,a,4\n"), target=target) == ([[1, 2], [3, 4]], ["b", "a"])


def test_header_is_as_the_argument_says(save):
    numbers = save("0,1,2\n3,4,5\n")
    assert whole(numbers) == ([[0, 1], [3, 4]], ["2", "5"])
    assert whole(numbers, header=True) == ([[3, 4]], ["5"])
    assert whole(numbers, header=True, target="1") == ([[3, 5]], ["4"])
    assert whole(save("a,b\n1,c\n"), header=False, categorical=[0])[1] == ["b", "c"]


def test_a_column_whose_name_is_a_number_is_found_by_its_name(save):
    """A text is a name, a number is an index. The first line is a header here, because `id` stands above numbers."""
    path = save("id,2019,0\n7,1,5\n8,2,6\n")
    assert whole(path, target="0") == ([[7, 1], [8, 2]], ["5", "6"])
    assert whole(path, target=0) == ([[1, 5], [2, 6]], ["7", "8"])
    assert whole(path, target="2019", drop="0") == ([[7], [8]], ["1", "2"])


def test_the_name_of_a_target_shows_that_there_is_a_header(save):
    path = save("0,1,kind\n7,1,a\n8,2,b\n")
    assert whole(path, target="kind") == ([[7, 1], [8, 2]], ["a", "b"])
    with pytest.raises(
        ValueError, match=r"target: expected the name of a column, got 'sort'; the columns of .* are '0'"
    ):
        load_csv(path, target="sort")


def test_a_missing_value_in_the_first_row_is_no_header(save):
    assert whole(save("?,2,a\n3,4,b\n"), missing="drop") == ([[3, 4]], ["b"])


def test_a_column_without_a_name_is_called_by_its_index(save):
    path = save(",a,b\n5,1,x\n9,2,y\n")
    assert load_csv(path).feature_names == ("0", "a")
    assert load_csv(path, drop="0").feature_names == ("a",)


def test_whole_number_labels_are_sorted_as_numbers(save):
    data = load_csv(save("1,10\n2,9\n3,9.0\n4,-2\n"), test_fraction=0)
    assert data.classes == ("-2", "9", "10")
    assert dict(zip(data.x_train[0].tolist(), data.y_train.tolist(), strict=True)) == {1: 2, 2: 1, 3: 1, 4: 0}


def test_a_split_data_set(save):
    text = "a,b,y\n" + "".join(f"{i},{-i},c{i}\n" for i in range(10))
    data = load_csv(save(text), rng=3)
    assert repr(data) == "Dataset('table', x_train (2, 8), x_test (2, 2), float64, 10 classes)"
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
    assert data.y_train.dtype == np.float64
    assert data.classes is None


def test_several_targets_in_the_order_in_which_they_are_named(save):
    path = save("a,b,c,d\n1,2,3,4\n5,6,7,8\n")
    data = load_csv(path, regression=True, target=["d", "a"], test_fraction=0)
    assert sorted(data.y_train.T.tolist()) == [[4, 1], [8, 5]]
    assert (data.feature_names, data.target_names) == (("b", "c"), ("d", "a"))
    assert repr(data) == "Dataset('table', x_train (2, 2), no test examples, float64, 2 targets)"
    with pytest.raises(ValueError, match=r"target: expected one column of classes, got 2 columns; .* \(--regression\)"):
        load_csv(path, target=["d", "a"])


def test_a_class_may_be_called_as_missing_values_are(save):
    assert whole(save("x,y\n1,NA\n2,?\n"))[1] == ["NA", "?"]
    with pytest.raises(ValueError, match="got 1 in column 'y'"):
        load_csv(save("x,y\n1,NA\n2,1\n"), regression=True)


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


# --- errors: each message gives the file, and the column and the row or the line if there are any

HEADER = "length,width,species\n"
LONG = "1,2,a\n" * 70_000


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, ": expected rows of values, got an empty file"),
        ("\n\n", {}, ": expected rows of values, got an empty file"),
        (HEADER, {}, ": expected rows of values below the header, got none"),
        (HEADER + "\n\n", {}, ": expected rows of values below the header, got none"),
        ("1\n2\n", {}, ": expected columns of features and a target, got one column; is delimiter=',' right?"),
        (FLOWERS.replace(",", ";").replace(".", ""), {}, ": expected columns of features and a target, got one column"),
        (HEADER + "1,2,a\nx,2,a\n", {}, ", column 'length', row 2: expected a number, got 'x'; 1 of its 2 values"),
        ("1,2,a\n3,x,a\n", {}, ", column '1', row 2: expected a number, got 'x'"),
        ("1,2,a\n3,1_0,a\n", {}, ", column '1', row 2: expected a number, got '1_0'"),
        ("1,2,a\n3,\u0661,a\n", {}, ", column '1', row 2: expected a number, got '\u0661'"),
        (
            "1,3e38,a\n3e38,3e38,\u0661\n1,1e309,a",
            {"dtype": "float32"},
            ", column '1', row 3: expected a finite number in float32",
        ),
        (HEADER + "1,2,a\n", {"header": False}, ", column '0', row 1: expected a number, got 'length'"),
        (HEADER + "1,,a\n", {}, ": expected no missing values, got 1 in column 'width' (the first in row 1)"),
        (HEADER + "1,2,\n", {}, ": expected no missing values, got 1 in column 'species'"),
        (HEADER + "1,2,a\n1,2, \n", {}, ": expected no missing values, got 1 in column 'species' (the first in row 2)"),
        (HEADER + "1,2,a\n\n1,nan,a\n", {}, ": expected no missing values, got 1 in column 'width'"),
        ("1,2,a\n-inf,4,a\n", {}, ", column '0', row 2: expected a finite number in float64, got '-inf'"),
        (
            "1,2,a\n1e300,4,a\n",
            {"dtype": "float32"},
            ", column '0', row 2: expected a finite number in float32, got '1e+300'",
        ),
        (
            "1,2,a\n" + "9" * 400 + ",4,a\n",
            {"dtype": "float64"},
            ", column '0', row 2: expected a finite number in float64, got ",
        ),
        (HEADER + "1,2,a\n1,a\n", {}, ", line 3: expected 3 fields, got 2"),
        (HEADER + "1,2,a\n1,a\n", {"missing": "drop"}, ", line 3: expected 3 fields, got 2"),
        (HEADER + "1,2,a\n1,2,3,a\n", {}, ", line 3: expected 3 fields, got 4"),
        (HEADER + "1,a\n", {}, ", line 2: expected 3 fields, got 2"),
        (HEADER + "1,2,3,a\n1,2,3,b\n", {}, ", line 2: expected 3 fields, got 4"),
        (LONG + "1,x,a\n", {}, ", column '1', row 70001: expected a number, got 'x'; 70,000 of its 70,001 values are"),
        (LONG + "1,a\n", {}, ", line 70001: expected 3 fields, got 2"),
        (LONG + "1,2,3,a\n", {}, ", line 70001: expected 3 fields, got 4"),
        (
            HEADER + "1,2,0\n1,2,0.5\n",
            {},
            ", column 'species', row 2: expected a whole number or text as a label, got '0.5'; for real targets use "
            "regression=True (--regression)",
        ),
        ("0.5,2,1\n1,2,nan\n", {}, ", column '2', row 2: expected a whole number or text as a label, got 'nan'"),
        (HEADER + "1,2,a\n", {"regression": True}, ", column 'species', row 1: expected a number to predict, got 'a'"),
        (HEADER + "1,2,3\n1,2,a\n", {"regression": True}, ", column 'species', row 2: expected a number, got 'a'"),
        ("1,2,3\n1,2,inf\n", {"regression": True}, ", column '2', row 2: expected a finite number in float"),
        (b"1,2,\xff\n", {}, ": expected UTF-8 text, got other bytes; "),
        (LONG.encode() + b"1,2,\xff\n", {}, ": expected UTF-8 text, got other bytes; "),
        (
            '1,2,a\n1,2,"a\n',
            {},
            ": expected a table in which all rows have the same number of fields, got another file; ",
        ),
        ("a,b\n1,2\n", {"drop": "a"}, ": expected at least one column of features, got none beside the targets"),
    ],
)
def test_errors_give_the_place(save, text, options, message):
    path = save(text)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the beginning of the message is compared below
        load_csv(path, **options)
    assert str(caught.value).startswith(f"{path}{message}")


def test_what_looks_like_a_typing_error_can_be_declared_a_category(save):
    path = save(HEADER + "1,2,a\n3+,2,a\n")
    with pytest.raises(ValueError, match=re.escape("use categorical=['length'] (--categorical length)")):
        load_csv(path)
    assert load_csv(path, categorical="length", test_fraction=0).feature_names == ("length=1", "length=3+", "width")


@pytest.mark.parametrize("argument", ["target", "drop", "categorical"])
@pytest.mark.parametrize(
    ("text", "value", "message"),
    [
        (FLOWERS, "kind", "expected the name of a column, got 'kind'; the columns of {} are '0', '1', '2'"),
        (
            HEADER + FLOWERS,
            "2",
            "expected the name of a column, got '2'; the columns of {} are 'length', 'width', 'spec",
        ),
        (
            "a,a,b\n1,2,3\n",
            "a",
            "expected a name that only one column has, got 'a'; the columns of {} are 'a', 'a', 'b'",
        ),
        (FLOWERS, 3, "expected -3 to 2, got 3; {} has 3 columns"),
        (FLOWERS, [-4], "expected -3 to 2, got -4; {} has 3 columns"),
        (HEADER + FLOWERS, ["width", 1], "expected each column once, got 'width' twice"),
        (FLOWERS, 1.5, "expected names or indices of columns, got 1.5"),
        (FLOWERS, True, "expected names or indices of columns, got True"),
    ],
)
def test_what_is_no_column_is_refused(save, argument, text, value, message):
    path = save(text)
    with pytest.raises((ValueError, TypeError), match=f"^{re.escape(f'{argument}: ' + message.format(path))}"):
        load_csv(path, **{argument: value})


@pytest.mark.parametrize("argument", ["drop", "categorical"])
def test_a_target_is_no_feature(save, argument):
    with pytest.raises(ValueError, match="target: expected a column that is in neither drop nor categorical, got '2'"):
        load_csv(save(FLOWERS), **{argument: -1})
    with pytest.raises(ValueError, match="target: expected at least one column, got none"):
        load_csv(save(FLOWERS), target=[])


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", "\r", None])
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


def test_other_arguments_are_checked(save):
    with pytest.raises(ValueError, match="dtype: expected "):
        load_csv(save(FLOWERS), dtype="int8")
    with pytest.raises(ValueError, match="missing: expected one of drop, mean, median, refuse, got 'zero'"):
        load_csv(save(FLOWERS), missing="zero")


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_csv(tmp_path / "nowhere.csv")


def test_without_pandas_the_error_says_how_to_install_it(save, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError) as caught:
        load_csv(save(FLOWERS))
    assert str(caught.value).endswith("table.csv: needs pandas; pip install pandas")


def test_the_file_is_not_changed(save):
    path = save(FLOWERS)
    load_csv(path)
    assert path.read_text() == FLOWERS


def test_large_numbers_with_small_differences_keep_them(save):
    """In float32, numbers of about 1.7e9 lie 128 apart."""
    text = "".join(f"{1_700_000_000 + i},{1_700_000_000 + i}\n" for i in range(50))
    data = load_csv(save(text), regression=True, test_fraction=0)
    assert np.unique(data.x_train).size == np.unique(data.y_train).size == 50
    assert data.scaling == "standardize"


def test_categories_that_look_like_numbers_stay_apart(save):
    data = load_csv(save("007,a\n7,b\n012,a\n12,b\n7,b\n"), categorical=[0], test_fraction=0)
    assert data.x_train.shape[0] == 4

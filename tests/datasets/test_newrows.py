"""Further rows for a trained network: found by name, and coded as in the training."""

import re
import warnings

import numpy as np
import pytest

import mbbp
from mbbp import Column, Schema
from mbbp.datasets import load_csv, read_inputs

pandas = pytest.importorskip("pandas")

SCHEMA = Schema([Column("size"), Column("colour", ["blue", "red"]), Column("age", fill=7.5)])


@pytest.fixture
def table(tmp_path):
    def write(text):
        path = tmp_path / "new.csv"
        path.write_text(text)
        return path

    return write


def test_columns_are_found_by_name_in_any_order(table):
    path = table("other,age,colour,size\nx,1,red,2\ny,3,blue,4.5\n")
    expected = [[2, 4.5], [0, 1], [1, 0], [1, 3]]
    assert read_inputs(path, SCHEMA).tolist() == expected
    frame = pandas.DataFrame({"age": [1, 3], "colour": ["red", "blue"], "size": ["2", 4.5], "more": [None, None]})
    assert read_inputs(frame, SCHEMA).tolist() == expected
    assert read_inputs(frame.astype({"colour": "category"}), SCHEMA).tolist() == expected


@pytest.mark.parametrize("missing", ["refuse", "mean", "median"])
@pytest.mark.parametrize("seed", range(5))
def test_the_rows_of_the_training_give_its_inputs(seed, missing, tmp_path):
    rng = np.random.default_rng(seed)
    n = 60
    words = {
        "a": rng.standard_normal(n).round(3).astype(str),
        "word": rng.choice(["x", "y y", 'z"', "ü"], n),
        "flag": rng.choice(["True", "False"], n),
        "yes": rng.choice(["true", "FALSE"], n),
        "code": rng.choice(["7", "007", "1.0"], n),
        "count": rng.integers(0, 5, n).astype(str),
        "y": rng.choice(["p", "q"], n),
    }
    if missing != "refuse":
        for name in ("a", "word", "count"):
            words[name][rng.integers(0, n, 3)] = rng.choice(["", "?", "NA"])
    frame = pandas.DataFrame(words)
    frame.to_csv(tmp_path / "t.csv", index=False)
    data = load_csv(tmp_path / "t.csv", missing=missing, categorical="code", test_fraction=0, rng=None)
    assert data.schema.input_names == data.feature_names
    again = read_inputs(tmp_path / "t.csv", data.schema)
    given = {tuple(column) for column in data.x_train.T.tolist()}
    assert {tuple(column) for column in again.T.tolist()} == given
    names = list(rng.permutation(list(words)[:-1]))
    frame[names].to_csv(tmp_path / "other.csv", index=False, sep=";")
    np.testing.assert_array_equal(read_inputs(tmp_path / "other.csv", data.schema, delimiter=";"), again)


def test_a_table_without_a_header_has_its_columns_by_number(table):
    path = table("1,a,2\n3,b,4\n")
    schema = load_csv(path, target=1, test_fraction=0).schema
    assert read_inputs(table("5,b,6\n"), schema).tolist() == [[5], [6]]
    assert read_inputs(table("5,b,6\n7,a,8\n"), schema, header=False).tolist() == [[5, 7], [6, 8]]


def test_a_category_that_looks_like_a_gap(table):
    schema = Schema([Column("land", ["NA", "US"], "US"), Column("n", fill=1)])
    path = table("land,n\nNA,NA\n,2\nUS,3\n")
    assert read_inputs(path, schema).tolist() == [[1, 0, 0], [0, 1, 1], [1, 2, 3]]
    frame = pandas.DataFrame({" n ": [None, 2, 3], "land": ["NA", None, "US"]})
    assert read_inputs(frame, schema).tolist() == [[1, 0, 0], [0, 1, 1], [1, 2, 3]]


@pytest.mark.parametrize(
    "values",
    [
        pandas.to_datetime(["2020-01-01", "2020-01-02"]),
        pandas.to_timedelta([1, 2]),
        pandas.period_range("2020", periods=2, freq="Y"),
        [1 + 2j, 3],
        [[1], [2]],
        [{}, 1],
    ],
    ids=str,
)
def test_what_is_no_number_is_refused(values):
    frame = pandas.DataFrame({"size": pandas.Series(values)})
    with pytest.raises(ValueError, match="table, column 'size', row 1: expected a number, got"):
        read_inputs(frame, Schema([Column("size")]))


@pytest.mark.parametrize("dtype", ["Int64", "float32", "Float64", "boolean", bool, object, "category", "string"])
def test_numbers_of_a_frame_in_any_dtype(dtype):
    frame = pandas.DataFrame({"size": pandas.Series([1, 0], dtype=dtype)})
    assert read_inputs(frame, Schema([Column("size")])).tolist() == [[1, 0]]


def test_a_gap_is_filled_as_in_the_training(table):
    assert read_inputs(table("size,colour,age\n1,red,\n2,red,NA\n3,red,3\n"), SCHEMA)[3].tolist() == [7.5, 7.5, 3]
    frame = pandas.DataFrame({"size": [1.0, 2], "colour": ["red", "red"], "age": [None, pandas.NA]})
    assert read_inputs(frame, SCHEMA)[3].tolist() == [7.5, 7.5]


def test_a_new_category_is_all_0_and_named(table):
    with pytest.warns(UserWarning, match=r"categories .* not have, all 0 there: column 'colour' \(2, such as 'pink'\)"):
        X = read_inputs(table("size,colour,age\n1,pink,1\n2,grey,1\n3,red,1\n"), SCHEMA)
    assert X[1:3].tolist() == [[0, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "size,colour\n1,red\n",
            "expected the column age, which the network was trained with, got the columns size, c",
        ),
        ("a,b\n1,red\n", "expected the columns size, colour, age, which the network"),
        ("size,colour,age,age\n1,red,1,1\n", "expected one column 'age', got 2"),
        ("size,colour,age\n,red,1\n", "column 'size', row 1: expected a value, got none (1 missing in all)"),
        ("size,colour,age\n1,red,1\n1,,1\n", "column 'colour', row 2: expected a value, got none (1 missing in all)"),
        ("size,colour,age\n1,red,1\nx,red,1\n", "column 'size', row 2: expected a number, got 'x'"),
        ("size,colour,age\n1,red,inf\n", "column 'age', row 1: expected a finite number, got 'inf'"),
        ("size,colour,age\n1,red,1e999\n", "column 'age', row 1: expected a finite number, got '1e999'"),
        ("size,colour,age\n", "expected rows of values below the header, got none"),
        ("", "expected rows of values, got an empty file"),
        ("size,colour,age\n1,red,1,4\n", "expected 3 fields, got 4"),
        ("size,colour,age\n" + "1,red,1\n" * 150 + "1,red,1,4\n", "line 152: expected 3 fields, got 4"),
        ("size,colour,age,x\n" + "1,red,1,2\n" * 150 + "1,red,1,4,5\n", "line 152: expected 4 fields, got 5"),
        ("size,colour,age\n1,red,1\n1,red\n", "line 3: expected 3 fields, got 2"),
        ("size,colour,age,x\n1,red,1,2\n1,red,1\n", "line 3: expected 4 fields, got 3"),
    ],
)
def test_wrong_tables(text, says, table):
    path = table(text)
    with pytest.raises(ValueError, match=re.escape(str(path)) + ".*" + re.escape(says)):
        read_inputs(path, SCHEMA)


def test_wrong_arguments(table):
    frame = pandas.DataFrame({"size": [1.0], "colour": ["red"], "age": ["?"]})
    assert read_inputs(frame, SCHEMA)[3] == 7.5
    for given, schema, options, says in (
        (frame, None, {}, "schema: expected an mbbp.Schema, got None"),
        (frame, Schema(), {}, "schema: expected one with the columns of a table, got one without"),
        (frame[:0], SCHEMA, {}, "table: expected at least one row of values, got none"),
        (frame.drop(columns="size"), SCHEMA, {}, "table: expected the column size, which"),
        (np.zeros((3, 3)), SCHEMA, {}, r"table: expected a path or a pandas.DataFrame, got array"),
        (table("a"), SCHEMA, {"delimiter": ";;"}, "delimiter: expected one character"),
        (table("a"), SCHEMA, {"header": "no"}, "header: expected True or False, got 'no'"),
    ):
        with pytest.raises((TypeError, ValueError), match=says):
            read_inputs(given, schema, **options)


def test_many_damaged_tables_are_read_or_refused(tmp_path):
    from tests.mutations import FEW, mutations, unclear_errors

    content = b'age,size,colour\n1,2.5,red\n?,3,"blue"\n4,5,red\n'
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        faults = unclear_errors(
            lambda path: read_inputs(path, SCHEMA),
            tmp_path / "damaged.csv",
            mutations(content, FEW),
            lambda X: len(X) == 4 and np.isfinite(X).all(),
        )
    assert not faults, faults[:2]


def test_schemas_of_data_sets():
    assert mbbp.datasets.load_digits().schema == Schema(classes=tuple("0123456789"))

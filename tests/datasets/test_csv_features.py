"""From the columns of a table to features: one-hot text, missing values, and what is refused or warned of."""

import re

import numpy as np
import pytest

from mbbp.datasets import load_csv


@pytest.fixture
def save(tmp_path):
    def write(text):
        path = tmp_path / "table.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


# --- text becomes one-hot


def test_text_becomes_one_hot(save):
    path = save("size,colour,kind\n1,red,a\n2,blue,b\n3, red ,a\n4,green,b\n")
    data = load_csv(path, test_fraction=0)
    assert data.feature_names == ("size", "colour=blue", "colour=green", "colour=red")
    assert data.notes == ("one-hot: colour (3)",)
    of_size = {column[0]: column[1:].tolist() for column in data.x_train.T}
    assert of_size == {1: [0, 0, 1], 2: [1, 0, 0], 3: [0, 0, 1], 4: [0, 1, 0]}


def test_bools_become_one_hot_and_numbers_do_if_they_are_named(save):
    path = save("member,zone,y\nTrue,10,a\nFalse,9,b\nTrue,?,b\n")
    names = ("member=False", "member=True")
    assert load_csv(path, missing="mean", test_fraction=0).feature_names == (*names, "zone")
    data = load_csv(path, missing="drop", categorical="zone", test_fraction=0)
    assert data.feature_names == (*names, "zone=9", "zone=10")


def test_a_category_of_the_test_examples_alone_has_no_feature_and_a_note(save):
    path = save("x,town,y\n" + "".join(f"{i},{'Rome' if i == 7 else 'Oslo'},{i % 2}\n" for i in range(10)))
    for seed in range(20):
        data = load_csv(path, rng=seed)
        town = dict(zip(data.feature_names, data.x_test, strict=True))
        if 7 in data.x_test[0]:
            assert data.feature_names == ("x", "town=Oslo")
            assert town["town=Oslo"].tolist() == [float(x != 7) for x in data.x_test[0]]
            assert data.notes[1] == (
                "test examples with a category that no training example has, all 0 there: town (1)"
            )
            return
        assert data.feature_names == ("x", "town=Oslo", "town=Rome")
    raise AssertionError("expected a seed that puts row 7 into the test part")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["2024-01-31", "2024-02-01"], "dates or times such as '2024-01-31'; make"),
        (["31.1.2024", "?", "1.2.24"], "dates or times such as '1.2.24'"),
        (["1/31/2024 12:00", "2/1/2024 0:30:01"], "dates or times such as "),
        (["2024-01-31T12:00:00Z", "2024/2/1"], "dates or times such as "),
        (["Jan 31, 2024", "31 January 2024"], "dates or times such as "),
        (["12:30", "1:05:07"], "dates or times such as "),
        ([f"Mr {i}" for i in range(21)], "text with 21 distinct values in 21 rows, such as 'Mr 0'; make"),
        ([f"Mr {i // 2}" for i in range(2002)], "text with 1,001 distinct values in 2,002 rows, such as 'Mr 0'"),
    ],
)
def test_text_that_is_no_category_is_refused_by_name(save, values, message):
    path = save("x,who,y\n" + "".join(f'{i * i},"{value}",{i % 2}\n' for i, value in enumerate(values)))
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        load_csv(path, missing="drop")
    assert str(caught.value).startswith(f"{path}, column 'who': expected numbers or names of categories, got ")
    assert str(caught.value).endswith("leave it out with drop=['who'] (--drop who)")
    assert load_csv(path, drop="who").feature_names == ("x",)


@pytest.mark.parametrize("values", [["10-14", "20-29"], ["1.2.3", "1.2.4"], ["12-ab", "13-ab"], ["may", "june"]])
def test_these_are_no_dates(save, values):
    path = save("".join(f"{i},{value},a\n" for i, value in enumerate(values)))
    assert len(load_csv(path, test_fraction=0).feature_names) == 3


# --- missing values

GAPS = "age,town,y\n1,Oslo,a\n,Oslo,b\n3,?,a\n8,Rome,b\n NA ,Oslo,a\n"


def test_missing_values_are_refused_with_column_and_number(save):
    path = save(GAPS)
    with pytest.raises(ValueError, match="missing") as caught:
        load_csv(path)
    assert str(caught.value) == (
        f"{path}: expected no missing values, got 2 in column 'age', 1 in column 'town' (the first in row 2); "
        "missing='mean', 'median' or 'drop' (--missing) fills them or leaves out their rows"
    )


def test_many_columns_with_missing_values_are_counted(save):
    path = save("a,b,c,d,e,f,g,y\n" + "1,,,,,,,0\n1,1,1,1,1,1,1,1\n")
    with pytest.raises(
        ValueError, match=r"1 in column 'b', .* 1 in column 'f' and in 1 more columns \(the first in row 1"
    ):
        load_csv(path)


@pytest.mark.parametrize(("how", "value"), [("mean", 4), ("median", 3)])
def test_missing_values_are_filled(save, how, value):
    data = load_csv(save(GAPS), missing=how, test_fraction=0, dtype="float64")
    assert data.feature_names == ("age", "town=Oslo", "town=Rome")
    assert sorted(data.x_train.T.tolist()) == sorted([[1, 1, 0], [value, 1, 0], [3, 1, 0], [8, 0, 1], [value, 1, 0]])
    assert data.notes == (
        f"filled with the {how}: age (2)",
        "filled with the most frequent category: town (1)",
        "one-hot: town (2)",
    )


def test_they_are_filled_from_the_training_examples_alone(save):
    rows = [(i * i, "ab"[i % 2]) for i in range(20)]
    path = save("x,t,y\n" + "".join(f"{x},{t},0\n" for x, t in rows) + ",,1\n" * 10)
    for how in (np.mean, np.median):
        data = load_csv(path, missing=how.__name__, rng=4, dtype="float64")
        known = data.x_train[:, data.y_train == 0]
        assert known.shape[1] < 20, "all known values are training examples, and this test shows nothing"
        for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
            assert set(x[0, y == 1]) == {how(known[0])}
            assert (x[1:, y == 1].argmax(axis=0) == known[1:].sum(axis=1).argmax()).all()


def test_rows_with_missing_values_are_left_out(save):
    path = save(GAPS + "9,Rome,\n")
    data = load_csv(path, missing="drop", test_fraction=0)
    assert sorted(data.x_train.T.tolist()) == [[1, 1, 0], [8, 0, 1]]
    assert data.notes == ("rows with missing values, left out: 4 of 6", "one-hot: town (2)")
    with pytest.raises(ValueError, match="expected at least one row without a missing value, got none"):
        load_csv(save("a,b\n,1\n2,\n"), missing="drop")


def test_a_missing_target_is_never_filled(save):
    for regression in (False, True):
        with pytest.raises(ValueError, match=r"got 1 in column 'y' \(the first in row 2\); missing='drop'"):
            load_csv(save("x,y\n1,1\n2,\n,2\n"), missing="mean", regression=regression)


def test_a_column_with_nothing_to_fill_from_is_refused(save):
    with pytest.raises(ValueError, match="column 'a': expected at least one value in the training examples to fill"):
        load_csv(save("a,b,y\n,1,0\n,2,1\n"), missing="mean")


# --- warnings


def test_many_numeric_classes_look_like_a_regression(save):
    path = save("x,y\n" + "".join(f"{i * i},{i % 30}\n" for i in range(290)))
    with pytest.warns(
        UserWarning, match=r"column 'y': got 30 classes for 290 samples; .* regression=True \(--regression"
    ):
        load_csv(path)
    load_csv(path, regression=True)
    load_csv(save("x,y\n" + "".join(f"{i * i},{i % 30}\n" for i in range(300))))  # ten samples in each class


def test_nearly_as_many_classes_as_samples_look_like_another_column(save):
    path = save("x,y\n" + "".join(f"{i * i},name {i}\n" for i in range(30)))
    with pytest.warns(UserWarning, match=r"got 30 classes for 30 samples; is this the column to predict\?"):
        load_csv(path)


@pytest.mark.parametrize("first", [0, 1])
def test_a_column_that_counts_the_rows_gets_a_warning(save, first):
    path = save("id,x,y\n" + "".join(f"{i + first},{i % 7},{i % 2}\n" for i in range(30)))
    with pytest.warns(UserWarning, match=r"column 'id': counts the rows .* drop=\['id'\] \(--drop id\)"):
        load_csv(path)
    load_csv(path, drop="id")

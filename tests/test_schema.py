"""What the inputs and the outputs of a network stand for."""

import copy
import pickle

import pytest

import mbbp
from mbbp import Column, Schema
from tests.problems import network

WRONG = [
    (lambda: Column(3), "name: expected a name, got 3"),
    (lambda: Column("a", "xy"), "categories: expected names, got 'xy'"),
    (lambda: Column("a", ["x", 1]), "categories: expected a name, got 1"),
    (lambda: Column("a", ["x", "x"]), "categories: expected different names, got 'x' twice"),
    (lambda: Column("a", ["x"], "y"), "fill: expected a category of the column 'a', got 'y'"),
    (lambda: Column("a", fill="y"), "fill: expected a finite number, got 'y'"),
    (lambda: Column("a", fill=True), "fill: expected a number for the column 'a', got True"),
    (lambda: Column("a", fill=float("nan")), "fill: expected a finite number, got nan"),
    (lambda: Column("a", fill=10**400), "fill: expected a finite number, got 1000"),
    (lambda: Schema([]), "columns: expected at least one column, got none"),
    (lambda: Schema([Column("a" * 100_000, [str(i) for i in range(200)])]), "columns: expected names of inputs of"),
    (lambda: Schema(["a"]), "columns: expected objects of mbbp.Column, got 'a'"),
    (lambda: Schema([Column("a"), Column("a")]), "columns: expected different names, got 'a' twice"),
    (lambda: Schema(classes="ab"), "classes: expected names, got 'ab'"),
    (lambda: Schema(classes=["a", "a"]), "classes: expected different names, got 'a' twice"),
    (lambda: Schema(target_scaling=2.0), r"target_scaling: expected an mbbp.Scaling or None, got 2\.0"),
    (lambda: Schema.from_dict([]), r"facts: expected a mapping that Schema.to_dict made, got \[\]"),
    (lambda: Schema.from_dict({"columns": [["a"]]}), "columns: expected a list of"),
]
UNFIT = [
    (Schema([Column("a")]), "schema: expected columns for 4 inputs, got columns for 1"),
    (Schema(classes=["a", "b"]), "schema: expected 3 classes, got 2"),
    (Schema(targets=["a"]), "schema: expected the names of 3 targets, got 1"),
    (Schema(classes=["a", "b", "c"], targets=["a", "b"]), "schema: expected the names of 1 targets, got 2"),
    (Schema(target_scaling=mbbp.Scaling([1, 2])), "schema: expected a target_scaling for 3 outputs, got one for 2"),
    (Schema(classes=["a", "b", "c"], target_scaling=mbbp.Scaling(2)), "schema: expected no target_scaling together"),
    ("a", "schema: expected an mbbp.Schema or None, got 'a'"),
]


@pytest.mark.parametrize(("make", "says"), WRONG)
def test_wrong_parts_are_refused(make, says):
    with pytest.raises((TypeError, ValueError), match=says):
        make()


@pytest.mark.parametrize(("schema", "says"), UNFIT)
def test_one_that_does_not_fit_the_network_is_refused(schema, says):
    net = network()
    with pytest.raises((TypeError, ValueError), match=says):
        net.schema = schema
    assert net.schema is None


def test_a_single_output_may_stand_for_two_classes():
    net = mbbp.Network([2, 1])
    net.schema = Schema(classes=["no", "yes"])
    with pytest.raises(ValueError, match="expected 2 classes, got 1"):
        net.schema = Schema(classes=["no"])


def test_copies_and_pickles_keep_it():
    net = network()
    net.schema, net.metadata = Schema(classes=["a", "b", "c"]), {"a": "b"}
    for other in (copy.copy(net), pickle.loads(pickle.dumps(net))):
        assert other.schema == net.schema
        assert other.metadata == net.metadata
        other.metadata = {**other.metadata, "c": "d"}
    assert net.metadata == {"a": "b"}
    with pytest.raises(TypeError):
        net.metadata["c"] = 3


def test_a_pickle_of_an_older_version_has_none():
    state = network().__getstate__()
    for name in ("_schema", "_metadata", "_unfinished", "_knew_classes"):
        del state[name]
    old = mbbp.Network.__new__(mbbp.Network)
    old.__setstate__(state)
    assert old.schema is None
    assert old.metadata == {}
    assert old.trained_on_classes is None


@pytest.mark.parametrize("wrong", [None, "text", {"a": 1}, {1: "a"}, ["a"]])
def test_metadata_are_texts_by_name(wrong):
    net = network()
    with pytest.raises(TypeError, match="metadata: expected"):
        net.metadata = wrong
    assert net.metadata == {}

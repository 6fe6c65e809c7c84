"""What a file says of a network besides its numbers: a JSON object, the same in every format that can hold one."""

from __future__ import annotations

import json
from typing import Any

from mbbp.costs import Cost
from mbbp.dropout import MOST_SEED
from mbbp.exchange.plain import Plain
from mbbp.fileformat.structure import cost_from_file
from mbbp.network import Network
from mbbp.schema import Schema
from mbbp.validation import as_count, as_metadata

FORMAT = 1
MOST_LETTERS = 1 << 22
"""The longest description: that of some 100,000 columns. What is longer would take long to read."""


def describe(net: Network, parts: Plain) -> dict[str, Any]:
    """Return what describes a network, as JSON can store it. Its cost must be a built-in one."""
    cost, dropout, schema = net.cost_function, net.engine.dropout, net.schema
    facts: dict[str, Any] = {
        "format": FORMAT,
        "sizes": list(parts.sizes),
        "activations": [layer.activation for layer in parts.layers],
        "dtype": parts.dtype.name,
        "cost": cost.name,
    }
    if cost.parameter is not None:
        facts["cost_parameter"] = cost.parameter
    if dropout is not None:
        facts |= {"dropout": list(dropout.rates), "dropout_seed": dropout.seed}
    if schema is not None:
        facts["schema"] = schema.with_targets_in_own_units().to_dict()
    if parts.metadata:
        facts["metadata"] = parts.metadata
    return facts


def as_text(caller: str, facts: dict[str, Any]) -> str:
    """Return a description as JSON.

    Raises
    ------
    ValueError
        If it is too long.
    """
    text = json.dumps(facts)
    if len(text) > MOST_LETTERS:
        raise ValueError(
            f"net: expected a schema and metadata of at most {MOST_LETTERS:,} letters for {caller}, got {len(text):,}"
        )
    return text


def read_description(text: str | None) -> dict[str, Any]:
    """Return the description in a text that is not trusted.

    What is in it has still to be checked, except the seed of the dropout and the metadata.

    Raises
    ------
    ValueError
        If it is no such description.
    TypeError
        If a part of it is of the wrong type.
    """
    if text is None:
        raise ValueError("metadata: expected a description with the name 'mbbp', got none")
    if len(text) > MOST_LETTERS:
        raise ValueError(f"metadata: expected a description of at most {MOST_LETTERS:,} letters, got {len(text):,}")
    try:
        facts = json.loads(text)
    except RecursionError as error:
        raise ValueError("metadata: expected a JSON object, got one that is nested too deeply") from error
    if not isinstance(facts, dict):
        raise ValueError(f"metadata: expected a JSON object, got {facts!r:.100}")
    if facts.get("format") != FORMAT:
        raise ValueError(
            f"metadata: expected format {FORMAT}, got format {facts.get('format')!r:.100}, which this version of mbbp "
            "cannot read"
        )
    if facts.get("dropout") is not None:
        facts["dropout_seed"] = as_count("dropout_seed", facts.get("dropout_seed"), least=0, most=MOST_SEED)
    facts["metadata"] = as_metadata("metadata", facts.get("metadata", {}))
    return facts


def read_cost(facts: dict[str, Any]) -> Cost:
    """Return the built-in cost that a description names.

    Raises
    ------
    ValueError
        If it names none, or its parameter is no number or out of range.
    TypeError
        If it is no name.
    """
    return cost_from_file(facts["cost"], facts.get("cost_parameter"))


def read_schema(facts: dict[str, Any]) -> Schema | None:
    """Return the schema of a description, or None if it has none.

    Raises
    ------
    ValueError
        If it is no description of a schema.
    TypeError
        If a part of it is of the wrong type.
    """
    found = facts.get("schema")
    return None if found is None else Schema.from_dict(found)

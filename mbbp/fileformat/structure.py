"""What a network computes, as JSON and arrays, and back. Nothing that was read is believed before it is checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mbbp.activations import Activation, layer_activations
from mbbp.costs import Cost, get_cost, with_parameter
from mbbp.dropout import MOST_SEED, Dropout, as_rates
from mbbp.fileformat.contents import Custom, Structure
from mbbp.parameters import Array, parameter_count
from mbbp.scaling import STANDARDIZE, Scaling, check_representable, get_scaling
from mbbp.schema import Schema
from mbbp.validation import as_count, as_dtype, as_flag, as_metadata, as_sizes

NONE = Custom()
MOST_LAYERS = 10_000
"""The most layers that a file may have: more would take long to build, and are hardly a network."""
ARRAYS = "arrays"  # the word for a scaling whose numbers are in the file


def structure_to_file(structure: Structure) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the facts for the description, and the arrays by name.

    Raises
    ------
    ValueError
        If the parameters hold NaN or inf.
    """
    if not np.isfinite(structure.theta).all():
        raise ValueError("net: expected finite parameters, got NaN or inf")
    if len(structure.activations) > MOST_LAYERS:
        raise ValueError(f"net: expected at most {MOST_LAYERS:,} layers, got {len(structure.activations):,}")
    Custom([one for one in structure.activations if one.is_custom])  # refuses two with the same name
    cost, scaling, dropout, schema = structure.cost, structure.scaling, structure.dropout, structure.schema
    facts: dict[str, Any] = {
        "sizes": structure.sizes,
        "activation": [_named(one) for one in structure.activations],
        "cost": _named(cost),
        "scaling": ARRAYS if isinstance(scaling, Scaling) else scaling,
    }
    arrays = {"theta": structure.theta}
    if cost.parameter is not None:
        facts["cost_parameter"] = cost.parameter
    if dropout is not None:
        facts |= {"dropout": dropout.rates, "dropout_seed": dropout.seed}
    if isinstance(scaling, Scaling):
        arrays |= _scaling_arrays("scaling", scaling)
    if schema is not None:
        facts["schema"] = schema.to_dict()
        if schema.target_scaling is not None:
            arrays |= _scaling_arrays("target_scaling", schema.target_scaling)
    if structure.metadata:
        facts["metadata"] = structure.metadata
    if structure.trained_on_classes is not None:
        facts["trained_on_classes"] = structure.trained_on_classes
    return facts, arrays


def structure_from_file(facts: Mapping[str, Any], arrays: Mapping[str, Array], custom: Custom) -> Structure:
    """Return what a network computes.

    Raises
    ------
    ValueError, TypeError, KeyError
        If a part is missing or wrong.
    """
    sizes = as_sizes(facts["sizes"])
    if len(sizes) > MOST_LAYERS + 1:
        raise ValueError(f"sizes: expected at most {MOST_LAYERS:,} layers, got {len(sizes) - 1:,}")
    theta = arrays["theta"]
    if theta.shape != (parameter_count(sizes),):
        raise ValueError(
            f"theta: expected shape ({parameter_count(sizes)},) for sizes {sizes}, got {theta.shape}"[:300]
        )
    as_dtype(theta.dtype)
    if not np.isfinite(theta).all():
        raise ValueError("theta: expected finite parameters, got NaN or inf")
    given = facts["activation"]
    given = [given] * (len(sizes) - 1) if isinstance(given, str) else given
    if not isinstance(given, list):
        raise ValueError(f"activation: expected a list of names, got {given!r:.100}")
    activations = layer_activations([_found(one, Activation, custom) for one in given], len(sizes) - 1)
    cost = cost_from_file(facts["cost"], facts.get("cost_parameter"), custom)
    cost.check_fits(activations[-1])
    scaling = _scaling(facts.get("scaling"), arrays, sizes[0])
    check_representable("scaling", scaling, theta.dtype)
    rates = as_rates("dropout", facts.get("dropout"), len(activations))
    dropout = None
    if rates is not None:
        dropout = Dropout(rates, as_count("dropout_seed", facts["dropout_seed"], least=0, most=MOST_SEED))
    schema = None
    if facts.get("schema") is not None:
        scaled = "target_scaling_mean" in arrays
        schema = Schema.from_dict(facts["schema"], _scaling_of(arrays, "target_scaling") if scaled else None)
        schema.check_fits("schema", sizes[0], sizes[-1])
    metadata, knew = as_metadata("metadata", facts.get("metadata", {})), facts.get("trained_on_classes")
    knew = None if knew is None else as_flag("trained_on_classes", knew)
    return Structure(sizes, theta, activations, cost, scaling, dropout, schema, metadata, knew)


def _named(one: Activation | Cost) -> str | dict[str, str]:
    return {"custom": one.name} if one.is_custom else one.name


def _found(given: Any, kind: type, custom: Custom) -> Any:
    """Return the user's own object, or the name of a built-in one."""
    return custom.find(kind, given.get("custom")) if isinstance(given, dict) else given


def cost_from_file(given: Any, parameter: Any, custom: Custom = NONE) -> Cost:
    """Return the cost that a file names, with its parameter.

    Raises
    ------
    ValueError
        If it names none, or the parameter is no number or out of range.
    TypeError
        If it is no name.
    """
    cost = get_cost(_found(given, Cost, custom))
    if parameter is None and (cost.parameter is None or cost.is_custom):
        return cost
    if type(parameter) is not float:  # no other kind of number is written
        raise ValueError(f"cost_parameter: expected a number for the {cost.name} cost, got {parameter!r:.100}")
    return with_parameter(cost.name, parameter, "cost_parameter")


def _scaling_arrays(name: str, scaling: Scaling) -> dict[str, Array]:
    mean = np.zeros(1) if scaling.mean is None else scaling.mean
    return {f"{name}_mean": mean, f"{name}_factor": scaling.factor}


def _scaling_of(arrays: Mapping[str, Array], name: str) -> Scaling:
    return Scaling(arrays[f"{name}_mean"], arrays[f"{name}_factor"])


def _scaling(found: Any, arrays: Mapping[str, Array], n_in: int) -> Scaling | str | None:
    if found == ARRAYS:
        return get_scaling("scaling", _scaling_of(arrays, "scaling"), n_in)
    if found not in (None, STANDARDIZE):
        raise ValueError(f"scaling: expected null, {STANDARDIZE!r} or {ARRAYS!r}, got {found!r:.100}")
    return None if found is None else STANDARDIZE

"""Dataclasses from plain types: written values come back, others are refused."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alexnet.comparison.plan import Plan
from alexnet.json_values import from_json
from alexnet.training.recipes import Recipe

floats = st.floats(allow_nan=False, allow_infinity=False)
whole = st.integers(0, 10**9)
recipes = st.builds(
    Recipe,
    train_examples=whole,
    test_examples=whole,
    num_epochs=whole,
    batch_size=whole,
    lr=floats,
    momentum=floats,
    normalize=st.booleans(),
    resize=st.none() | whole,
    numpy_batches=st.none() | whole,
)
plans = st.builds(
    Plan,
    recipes=st.dictionaries(st.text(), recipes),
    root=st.none() | st.text(),
    names=st.lists(st.text()).map(tuple),
    pythons=st.dictionaries(st.text(), st.text()),
    parallel=whole,
    timeout=floats,
    named=st.booleans(),
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | floats | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(plans)
def test_a_written_dataclass_is_read_as_the_same(plan):
    assert from_json(Plan, json.loads(json.dumps(plan.to_dict())), "plan") == plan


@example(Recipe(1, 1, 1, 1, 0.5), "train_examples", 2**63)
@given(recipes, st.sampled_from(list(Recipe.__dataclass_fields__)), anything)
def test_a_field_of_the_wrong_type_is_refused(recipe, field, value):
    """The error gives the field's name and value."""
    kinds = {
        **dict.fromkeys(("lr", "momentum"), (int, float)),
        **dict.fromkeys(("normalize", "nesterov", "flip"), (bool,)),
        **dict.fromkeys(("schedule", "precision"), (str,)),
    }
    right = type(value) in kinds.get(field, (int,)) or (
        value is None and field in ("resize", "numpy_batches", "lr", "momentum")
    )
    if field in ("lr", "momentum") and type(value) is int and abs(value) > sys.float_info.max:
        right = False
    if field not in kinds and type(value) is int and abs(value) >= 2**63:
        right = False
    saved = vars(recipe) | {field: value}
    if right:
        found = getattr(from_json(Recipe, saved, "recipe"), field)
        assert found == value or (value is None and math.isnan(found))
    else:
        with pytest.raises(ValueError, match=rf"^{field}.* cannot be "):
            from_json(Recipe, saved, "recipe")


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (list[int], (1, 2), r"numbers cannot be \(1, 2\)"),
        (list[int], [1, True], "numbers, 1 cannot be True"),
        (int, 2**63, "numbers cannot be 9223372036854775808"),
        (Mapping[str, float], {"a": 1, "b": "2"}, "numbers, b cannot be '2'"),
        (Recipe, [], r"numbers cannot be \[\]"),
        (float, math.inf, "numbers cannot be inf"),
        (float, 10**400, "numbers cannot be 1000"),
    ],
)
def test_an_error_names_its_place(kind, value, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        from_json(kind, value, "numbers")

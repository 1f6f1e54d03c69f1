"""Canonical JSON, equality and bounds at the edge (property i; section 3, D6.2)."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.engine import BoundsError
from runtime.engine.values import MAX_DEPTH, canonical, check_name, load_json, parse, thousandths
from tests.engine.naive_sides import text

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
numbers = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-3, 3).map(float),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)


@given(values)
def test_canonical_bytes_read_back_as_the_same_value(value: Any) -> None:
    raw = canonical(value)
    assert canonical(parse(raw)) == raw
    assert canonical(json.loads(raw)) == raw
    assert text(json.loads(raw)) == text(value)


@given(values, values)
def test_values_are_equal_exactly_if_their_canonical_bytes_are(one: Any, other: Any) -> None:
    assert (canonical(one) == canonical(other)) == (text(one) == text(other))


@given(st.dictionaries(texts, values, min_size=2, max_size=5))
def test_order_of_keys_carries_no_meaning(value: dict[str, Any]) -> None:
    assert canonical(value) == canonical(dict(reversed(value.items())))
    assert list(json.loads(canonical(value))) == sorted(value, key=lambda k: k.encode())


@pytest.mark.parametrize(
    ("one", "other"), [(1, 1.0), (0, -0.0), ([1.0], [1]), ({"a": -0.0}, {"a": 0}), (1e3, 1000)]
)
def test_numbers_have_one_form(one: Any, other: Any) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"), [(1, True), (0, False), ("1", 1), (None, False), ([], {}), (2**53, 2**53 + 1)]
)
def test_what_is_not_equal_as_json_stays_apart(one: Any, other: Any) -> None:
    assert canonical(one) != canonical(other)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        [-math.inf],
        {"a": math.nan},
        "\ud800",
        {"\udfff": 1},
        ["a\ud83d"],
        "a\0b",
        {"\\\\\0": 1},
        {1: 2},
        {None: 2},
        {"a": {True: 1}},
        10**400,
        -(2**63) - 1,
        nested(MAX_DEPTH + 1),
        nested(100_000),
        [0] * 20_000,
        "x" * 70_000,
        b"bytes",
        {1, 2},
        object(),
        {"a": object()},
    ],
    ids=lambda v: type(v).__name__,
)
def test_what_is_no_json_or_too_large_is_refused_in_words(value: Any) -> None:
    with pytest.raises(BoundsError) as refusal:
        canonical(value)
    assert str(refusal.value)


def test_a_backslash_before_u0000_is_no_nul() -> None:
    assert parse(canonical("\\u0000")) == "\\u0000"


def test_the_deepest_value_that_is_admitted() -> None:
    assert canonical(nested(MAX_DEPTH)) == b"[" * MAX_DEPTH + b"1" + b"]" * MAX_DEPTH


@given(st.floats(0, 1))
def test_confidence_is_held_in_thousandths(confidence: float) -> None:
    assert 0 <= thousandths(confidence) <= 1000
    assert abs(thousandths(confidence) - 1000 * confidence) <= 0.5 + 1e-9


@pytest.mark.parametrize("confidence", [-0.001, 1.001, math.nan, math.inf, "0.5", None, True, 10**400])
def test_a_confidence_outside_0_to_1_is_refused(confidence: Any) -> None:
    with pytest.raises(BoundsError):
        thousandths(confidence)


@pytest.mark.parametrize("name", ["", " \n", "a\x00b", "a\u202eb", "x" * 501, "\ud800", 3, None])
def test_a_name_that_cannot_be_shown_is_refused(name: Any) -> None:
    with pytest.raises(BoundsError):
        check_name("subject", name)


@pytest.mark.parametrize(
    "document",
    [
        '{"a": 1, "a": 2}',
        '[{"b": {"a": 1, "a": 1}}]',
        "NaN",
        "[Infinity]",
        "1e999",
        "[-1e999]",
        "[" * 100_000,
        "9" * 5_000,
        '"\ud800"',
        b'"\xff"',
        "",
        "[1,]",
        "{'a': 1}",
        " " * 100 + "1" * 2_000_000,
    ],
    ids=range(14),
)
def test_strict_json_refuses_what_is_ambiguous_too_large_or_broken(document: str | bytes) -> None:
    with pytest.raises(BoundsError):
        canonical(load_json(document, 1_000_000))


def test_a_syntax_error_says_where() -> None:
    with pytest.raises(BoundsError, match="line 2"):
        load_json("[1,\n2 3]", 1_000)

"""Seeds that cannot be submitted: refused before anything is created, in words that say where and what."""

import json
import math
from typing import Any

import pytest

from runtime.actions import MAX_SEEDS, SeedsRefused, parse_seeds, submit_job
from runtime.actions import seeds as seed_checks
from runtime.models import AuditRecord, Job
from tests.runtime.fixtures import Use
from tests.runtime.packs import panel
from tests.runtime.stage import person

pytestmark = pytest.mark.django_db

GOOD: dict[str, Any] = {"key": "case", "subject": "a", "value": {}}


@pytest.fixture(autouse=True)
def packs(use_packs: Use) -> None:
    use_packs("panel", "echo")


def refusal(seeds: Any, pack: str = "panel") -> str:
    """What the person is told; nothing is left behind."""
    with pytest.raises(SeedsRefused) as refused:
        submit_job(person("otto", "operator"), pack, seeds)
    assert not Job.objects.exists()
    assert not AuditRecord.objects.filter(act="submit").exists()
    assert refused.value.problems
    return refused.value.message


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"key": "kase"}, "The key 'kase' is unknown; this pack takes case."),
        ({"key": "verdict"}, "The key 'verdict' cannot be seeded; this pack takes case."),
        ({"key": ["case"]}, "The key ['case'] is unknown; this pack takes case."),
        ({"key": {}}, "The key {} is unknown; this pack takes case."),
        ({"key": None}, "The key None is unknown"),
        ({"subject": ""}, "The subject is ''; it must be a non-empty string."),
        ({"subject": 7}, "The subject is 7; it must be a non-empty string."),
        ({"subject": "x" * 501}, "The subject is 501 characters long; the limit is 500."),
        ({"subject": "a\x00b"}, "holds a character that cannot be printed."),
        ({"subject": "a\ud800"}, "holds a character that cannot be printed."),
        ({"value": "yes"}, 'b: "yes" is not of type "object".'),
        ({"value": {"x": math.nan}}, "The value holds NaN or an infinity, which JSON does not have."),
        ({"value": {"x": math.inf}}, "The value holds NaN or an infinity"),
        ({"value": {"x": "\ud800"}}, "The value holds a lone surrogate, which is no Unicode text."),
        ({"value": {"\ud800": 1}}, "The value holds a lone surrogate, which is no Unicode text."),
        ({"value": {"x": "a\x00"}}, "The value holds a NUL character, which PostgreSQL cannot keep."),
        ({"value": {"x": 2**64}}, "The value holds an integer beyond 64 bits; write it as a string."),
        ({"value": {"x": nested(30)}}, "The value is nested more than 24 deep."),
        ({"value": {"x": list(range(10_001))}}, "The value has more than 10,000 parts."),
        ({"value": {"x": "y" * 70_000}}, "The value is 70,008 bytes of JSON; the limit is 65,536."),
        ({"value": {1: 2}}, "The value has the object key 1, which is not a string."),
        ({"value": {"x": {1, 2}}}, "The value holds a set, which is not JSON."),
        ({"confidence": 1.5}, "confidence is 1.5; it must lie between 0 and 1."),
        ({"confidence": -0.1}, "it must lie between 0 and 1."),
        ({"confidence": math.nan}, "it must lie between 0 and 1."),
        ({"confidence": "high"}, "confidence is 'high'; it must be a number from 0 to 1."),
        ({"confidence": True}, "confidence is True; it must be a number from 0 to 1."),
        ({"confidence": None}, "confidence is None; it must be a number from 0 to 1."),
        ({"evidence": [1]}, "The evidence must be an object."),
        ({"evidence": {"x": math.nan}}, "The evidence holds NaN or an infinity"),
        (
            {"source": "ann"},
            "The field 'source' is unknown; a seed has confidence, evidence, key, subject, value.",
        ),
    ],
)
def test_seed_out_of_bounds_is_refused_by_its_number(change: dict[str, Any], said: str) -> None:
    message = refusal([GOOD, {**GOOD, "subject": "b", **change}])
    assert message.startswith("Line 2: ")
    assert said in message


@pytest.mark.parametrize("name", ["key", "subject", "value"])
def test_seed_without_a_field_is_refused(name: str) -> None:
    assert f"The field {name} is missing." in refusal([{k: v for k, v in GOOD.items() if k != name}])


@pytest.mark.parametrize("seed", [None, 3, "case", ["case", "a", {}]])
def test_seed_that_is_no_object_is_refused(seed: Any) -> None:
    assert "A seed must be an object with key, subject and value." in refusal([seed])


@pytest.mark.parametrize("seeds", [[], None, {}, "seeds", 3])
def test_nothing_at_all_is_refused(seeds: Any) -> None:
    assert "There are no seeds." in refusal(seeds)


def test_same_statement_twice_is_refused_and_two_different_ones_are_welcome() -> None:
    assert "case / a was given before, by seed 1." in refusal([GOOD, dict(GOOD)])
    job = submit_job(person("otto", "operator"), "panel", [GOOD, {**GOOD, "value": {"doubtful": True}}])
    assert job.status == "queued"


def test_too_many_seeds_are_refused_before_they_are_looked_at() -> None:
    assert f"There are {MAX_SEEDS + 1:,} seeds; the limit is {MAX_SEEDS:,}." in refusal(
        [None] * (MAX_SEEDS + 1)
    )


def test_of_many_problems_the_first_are_named() -> None:
    with pytest.raises(SeedsRefused) as refused:
        submit_job(person("otto", "operator"), "panel", [{"key": "kase"}] * 200)
    assert len(refused.value.problems) == seed_checks.MAX_PROBLEMS
    assert "(and 49 more)" in refused.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"key": "case", "subject": "a", "value": {"x": 1e999}}]', "1e999"),
        ('[{"key": "case", "subject": "a", "value": {"x": NaN}}]', "holds NaN, which JSON does not have"),
        (
            '[{"key": "case", "key": "x", "subject": "a", "value": {}}]',
            "has the key 'key' twice in one object",
        ),
        ('[{"key": "case", "subject": "\\ud800", "value": {}}]', "holds a character that cannot be printed"),
        ('[{"key": "case", "subject": "a", "value": {"x": "\\udfff"}}]', "lone surrogate"),
        ("[" * 5_000 + "]" * 5_000, "is nested more than 24 deep"),
        ("[" * 200_000, "is nested more than 24 deep"),
        ('[{"a":' * 3_000 + "1" + "}]" * 3_000, "is nested more than 24 deep"),
        ("[1, 2", "is not JSON: line 1"),
        ("\ufeff", "The input is empty."),
        ("\x00", "line"),
    ],
)
def test_text_out_of_bounds_is_a_problem_and_no_exception(text: str, said: str) -> None:
    _, problems = parse_seeds(panel.spec(), text, "seeds.json")
    assert problems
    assert said in problems[0].message or said == "line"
    for encoded in (text.encode("utf-8", "surrogatepass"),):
        assert parse_seeds(panel.spec(), encoded, "seeds.json")[1]


def test_many_keys_with_one_twice_are_found_quickly() -> None:
    """Looking for the double must not take the square of their number: 32 MB hold three million keys."""
    keys = ",".join(f'"k{n}":1' for n in range(60_000))
    _, problems = parse_seeds(panel.spec(), f'[{{{keys},"k59999":2}}]', "seeds.json")
    assert "has the key 'k59999' twice in one object" in problems[0].message


def test_input_over_the_byte_limit_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seed_checks, "MAX_SEED_BYTES", 1_000)
    for text in ("x" * 1_001, b"x" * 1_001, "ß" * 501):
        _, problems = parse_seeds(panel.spec(), text)
        assert "bytes; the limit is 1,000." in problems[0].message
    assert not parse_seeds(panel.spec(), json.dumps([GOOD]))[1]


def test_problem_in_a_text_is_named_by_its_line() -> None:
    text = json.dumps([GOOD, {**GOOD, "subject": "b"}, {**GOOD, "key": "kase"}], indent=1)
    _, problems = parse_seeds(panel.spec(), text)
    assert text.splitlines()[problems[0].line - 1].strip() == "{"
    assert problems[0].line == 1 + 5 + 5 + 1


def test_what_quotes_an_input_is_not_as_long_as_the_input() -> None:
    assert len(refusal([{**GOOD, "value": ["long"] * 5_000}])) < 500

"""CSV tables become seeds; what is wrong is told by line."""

from __future__ import annotations

import pytest

from runtime.agents.seeds import read_table
from runtime.engine.spec import KeySpec

PET = KeySpec(
    "pet",
    seed=True,
    schema={
        "type": "object",
        "properties": {
            "age": {"type": "integer"},
            "cost": {"type": "number"},
            "tame": {"type": "boolean"},
            "tricks": {"type": "array", "items": {"type": "string"}},
            "code": {"type": "string"},
        },
    },
)
HOME = KeySpec("home", seed=True, schema={"type": "object", "properties": {"rooms": {"type": "integer"}}})
NOTE = KeySpec("note", seed=True, schema={"type": "string"})
CHOICE = KeySpec("choice")


def seeds_of(text: str, *keys: KeySpec) -> list[dict[str, object]]:
    seeds, problems = read_table(text, keys)
    assert problems == []
    return seeds


def test_columns_are_read_by_the_types_of_the_schema() -> None:
    text = "subject,age,cost,tame,tricks,code\nrex,3,1.50,yes,sit; roll,007\n"
    assert seeds_of(text, PET, CHOICE) == [
        {
            "key": "pet",
            "subject": "rex",
            "value": {"age": 3, "cost": 1.5, "tame": True, "tricks": ["sit", "roll"], "code": "007"},
        }
    ]


def test_one_table_may_hold_several_keys_and_empty_cells_are_left_out() -> None:
    text = "\ufeffkey,subject,age,rooms,value,confidence\npet,rex,3,,,0.5\nhome,hut,,2,,\nnote,n,,,hello,\n\n"
    assert seeds_of(text, PET, HOME, NOTE) == [
        {"key": "pet", "subject": "rex", "value": {"age": 3}, "confidence": 0.5},
        {"key": "home", "subject": "hut", "value": {"rooms": 2}},
        {"key": "note", "subject": "n", "value": "hello"},
    ]


def test_the_key_may_be_left_out_where_the_columns_fit_only_one() -> None:
    assert [seed["key"] for seed in seeds_of("subject,rooms\nhut,2\n", PET, HOME)] == ["home"]


def test_a_value_column_is_json_or_plain_text() -> None:
    text = 'key,subject,value\npet,rex,"{""age"": 3}"\nnote,n,hello there\n'
    assert [seed["value"] for seed in seeds_of(text, PET, NOTE)] == [{"age": 3}, "hello there"]


@pytest.mark.parametrize(
    ("text", "line", "field", "words"),
    [
        ("", 1, "", "is empty"),
        ("subject,age\n", 1, "", "no row"),
        ("name,age\nrex,3\n", 1, "subject", "no column `subject`"),
        ("subject,age,age\nrex,3,4\n", 1, "age", "twice"),
        ("subject,age\nrex,3\n,4\n", 3, "subject", "is empty"),
        ("subject,age\nrex,old\n", 2, "age", "'old' is not a number"),
        ("subject,cost\nrex,nan\n", 2, "cost", "not a number"),
        ("subject,tame\nrex,maybe\n", 2, "tame", "neither yes nor no"),
        ("subject,age\nrex,3,4\n", 2, "", "3 cells under 2 columns"),
        ('subject,age\n"rex,3\n', 2, "", "not CSV"),
        ("key,subject,age\nchoice,rex,3\n", 2, "key", "none that can be submitted: pet, home"),
        ("subject,wings\nrex,2\n", 2, "key", "Say in a column `key`"),
        ('subject,value,age\nrex,"{}",3\n', 2, "value", "one or the other"),
        ("subject,confidence,age\nrex,sure,3\n", 2, "confidence", "'sure'"),
    ],
)
def test_what_is_wrong_names_line_and_field(text: str, line: int, field: str, words: str) -> None:
    _, problems = read_table(text, [PET, HOME])
    assert [(problem.line, problem.field) for problem in problems] == [(line, field)]
    assert words in problems[0].message


def test_a_bad_line_does_not_hide_the_others() -> None:
    seeds, problems = read_table("subject,age\nrex,old\ntom,2\nrix,young\n", [PET])
    assert [seed["subject"] for seed in seeds] == ["tom"]
    assert [problem.line for problem in problems] == [2, 4]

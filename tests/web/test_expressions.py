"""The endpoint behind the CEL editor: what it says is what a save would say, whatever is sent to it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from converge_site.forms.cel_editor import kind_helps
from runtime.actions import Refused
from runtime.actions.cel_faults import find_fault
from runtime.actions.pack_specs import pack_spec_from_rows
from runtime.actions.rules import check_new_draft
from runtime.actions.sync_packs import sync_packs
from runtime.engine import compile_expression
from runtime.engine.compiled import expression_names
from runtime.engine.spec import RULE_KINDS
from runtime.models import Pack


@pytest.fixture(autouse=True)
def growth(db: Any) -> Pack:
    sync_packs()
    return Pack.objects.get(name="growth")


def ask(client: Client, growth: Pack, expression: str, kind: str = "confidence") -> dict[str, Any]:
    sent = {"kind": kind, "pack": str(growth.pk), "expression": expression}
    answer = client.post("/rules/check/", sent)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    ("expression", "line", "column", "words"),
    [
        ("sides.size() <", 1, 15, "mismatched input"),
        ("true &&\n\n  * 2", 3, 3, "extraneous input"),
        ("true &&\r\n  side.size() == 2", 2, 3, "unknown name `side`"),
        ("sides.all(s, true) && s.value == 1", 1, 23, "known only inside the brackets"),
        ('"ERROR: <input>:7:9: x" +', 1, 26, "line 1, column 26"),
        ("sizes(sides) == 2", 1, 1, "unknown function `sizes`"),
        ("sides.size() % 2 == 0", 1, 14, "% is not available"),
        ("é == 1", 1, 1, "token recognition"),
    ],
)
def test_a_fault_is_told_with_its_place(
    otto: Client, growth: Pack, expression: str, line: int, column: int, words: str
) -> None:
    answer = ask(otto, growth, expression)
    assert (answer["ok"], answer["line"], answer["column"]) == (False, line, column), answer
    assert words in answer["message"]
    assert answer["caret"] == " " * (column - 1) + "^"
    assert answer["excerpt"] == expression.replace("\r\n", "\n").split("\n")[line - 1]


def test_an_unknown_key_is_pointed_at(otto: Client, growth: Pack) -> None:
    answer = ask(otto, growth, 'true &&\n fact("plans", subject) == 1', "constraint")
    assert (answer["line"], answer["column"]) == (2, 2)
    assert "'plans'" in answer["message"]


@pytest.mark.parametrize(
    ("kind", "expression"),
    [
        ("confidence", ""),
        ("confidence", "  "),
        ("confidence", "sides.all(s, s.value == 1) && sides.exists(s, s.confidence > 0.5)"),
        ("constraint", 'fact("plan", subject) == null || has(evidence.s)'),
        ("invariant", 'facts("plan").all(s, s != "s.value")'),
        ("approval", "value.spend > 10"),
    ],
)
def test_what_is_right_is_said_so(otto: Client, growth: Pack, kind: str, expression: str) -> None:
    assert ask(otto, growth, expression, kind) == {"ok": True}


HOSTILE = [
    "x" * 3_000,
    "(" * 2_000,
    "[" * 1_000 + "]" * 1_000,
    "a.b" * 600,
    "sides.all(a, sides.all(b, sides.all(c, true)))",
    "!" * 2_000,
    "-" * 2_000 + "1",
    '"' * 999,
    "\\" * 999,
    "</script><script>alert(1)</script>",
    "{" * 40,
    "\ud800"[:0] + "\ufffd",
    "1" * 2_000,
    "true" + "\n" * 2_000,
    "sides" + ".size()" * 280,
]


@pytest.mark.parametrize("expression", HOSTILE)
@pytest.mark.parametrize("kind", ["confidence", "constraint"])
def test_what_is_hostile_is_answered_soon_and_in_short(
    otto: Client, growth: Pack, expression: str, kind: str
) -> None:
    began = time.perf_counter()
    answer = ask(otto, growth, expression, kind)
    assert (
        time.perf_counter() - began < 5
    )  # where it takes milliseconds: a bound against what grows without one
    assert len(str(answer)) < 8_000
    assert "Traceback" not in str(answer)


def test_what_is_far_too_long_is_not_read(otto: Client, growth: Pack) -> None:
    answer = otto.post(
        "/rules/check/", {"kind": "confidence", "pack": str(growth.pk), "expression": "x" * 100_000}
    )
    assert answer.status_code == 413 and "2,048" in answer.json()["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"kind=confidence&pack=%d&expression=%%ff%%fe%%80",
        b"kind=confidence&pack=%d&expression=\xff\xfe",
        b"\xff=%d",
    ],
)
def test_bytes_that_are_no_text_are_answered(otto: Client, growth: Pack, body: bytes) -> None:
    answer = otto.post("/rules/check/", body % growth.pk, content_type="application/x-www-form-urlencoded")
    assert answer.status_code in (200, 400, 422)
    if answer.status_code != 400:
        assert answer.json()["ok"] is False


@pytest.mark.parametrize("kind", ["", "vote", "x" * 10_000])
def test_an_unknown_kind_is_told(otto: Client, growth: Pack, kind: str) -> None:
    answer = ask(otto, growth, "true", kind)
    assert "kinds are constraint" in answer["message"] and len(answer["message"]) < 400


@pytest.mark.parametrize("pack", ["", "0", "x", "9" * 5_000, "٣", "-1", "1e3"])
def test_an_unknown_pack_is_told(otto: Client, pack: str) -> None:
    answer = otto.post("/rules/check/", {"kind": "confidence", "pack": pack, "expression": "true"})
    assert answer.status_code == 422 and "Choose the pack" in answer.json()["message"]


def test_it_answers_who_may_draft_and_a_form_of_this_site(
    vera: Client, client: Client, people: dict[str, User], growth: Pack
) -> None:
    sent = {"kind": "confidence", "pack": str(growth.pk), "expression": "true"}
    assert vera.post("/rules/check/", sent).status_code == 403
    assert client.post("/rules/check/", sent).status_code == 302
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(people["otto"])
    assert strict.post("/rules/check/", sent).status_code == 403


def test_a_save_says_the_same(people: dict[str, User], growth: Pack) -> None:
    spec = pack_spec_from_rows(growth)
    fine = {"name": "mine", "keys": ["outlook"]}
    for kind, params in (("confidence", {"margin": 0.2}), ("constraint", {}), ("operator", {})):
        for expression in (
            "sides.size() <",
            "side == 1",
            'fact("plans", subject)',
            "sides.all(s, true) && s == 1",
        ):
            fault = find_fault(kind, expression, spec)
            assert fault is not None
            said = {**fine, "kind": kind, "params": params, "expression": expression}
            with pytest.raises(Refused) as refusal:
                check_new_draft(people["otto"], growth, said)
            assert (refusal.value.field, refusal.value.message) == ("expression", fault.message)


def test_every_example_compiles_and_every_name_is_told(growth: Pack) -> None:
    spec = pack_spec_from_rows(growth)
    helps = {found["kind"]: found for found in kind_helps("company")}
    assert list(helps) == list(RULE_KINDS)
    for kind, found in helps.items():
        assert set(found["names"]) == set(expression_names(kind))
        for text, says in found["examples"]:
            assert find_fault(kind, text, spec) is None, text
            assert compile_expression(text, expression_names(kind)) and says
    assert not helps["discount"]["examples"]
    odd = kind_helps('a"b')[0]
    assert 'fact("key", subject) != null' in {text for text, _ in odd["examples"]}

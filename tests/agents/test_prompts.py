"""Prompts are templates that see plain data and nothing else, and say the same about the same view."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import pytest
from django.utils import translation

from runtime.agents.prompts import PromptError, check_prompt, fill_prompt

SHOWN: dict[str, Any] = {
    "shape": "each",
    "item": {
        "key": "pet.dog",
        "subject": "<rex> & co",
        "value": {"joy": 7, "items": "hidden"},
        "confidence": 0.8,
    },
    "facts": {"pet.size": [{"subject": "rex", "value": 1234.5, "confidence": 1.0}]},
}

FILLED = [
    ("{{ item.subject }}", "<rex> & co"),
    ("{{ item.value|json }}", '{"items":"hidden","joy":7}'),
    (
        '{% for fact in facts|get:"pet.size" %}{{ forloop.counter }}. {{ fact.value }}{% endfor %}',
        "1. 1234.5",
    ),
    ('{% for fact in facts|get:"nothing" %}x{% empty %}none{% endfor %}', "none"),
    ("{{ item.confidence|fixed:2 }} {{ item.subject|fixed:2 }}", "0.80 <rex> & co"),
    ("{{ item.subject|shorten:5 }}", "<rex…"),
    ("{{ item.value.nothing }}|{{ item.value.items }}", "|hidden"),
    ("{% if item.value.joy > 5 and not None %}much{% else %}little{% endif %}", "much"),
    ("{% with joy=item.value.joy %}{{ joy|add:1 }}{% endwith %}", "8"),
]


@pytest.mark.parametrize(("text", "filled"), FILLED)
def test_a_prompt_is_filled_in_from_the_view(text: str, filled: str) -> None:
    check_prompt(text, "each")
    assert fill_prompt(text, SHOWN) == filled


def test_a_prompt_changes_nothing_that_it_is_shown() -> None:
    shown = {"writes": {"k": {"type": "object", "properties": {"a": {}}, "required": ["a"]}}}
    before = copy.deepcopy(shown)
    clears = "{{ s.required.clear }}{{ s.required.pop }}{{ s.properties.clear }}{{ s.popitem }}"
    text = "{% for name, s in writes.items %}" + clears + "{{ s.required.0 }} {{ name }}{% endfor %}"
    check_prompt(text, "each")
    assert fill_prompt(text, shown) == "a k"
    assert shown == before


@pytest.mark.parametrize(
    "text",
    [
        "{{ item.subject.upper }}",
        "{{ item.key.split }}",
        "{{ item.copy }}",
        "{% with j=item|json %}{{ j.swapcase }}{% endwith %}",
        "{{ facts.keys.reverse }}",
        "{{ forloop.clear }}",
    ],
)
def test_names_lead_to_data_and_never_to_methods(text: str) -> None:
    assert fill_prompt("{% for f in facts.items %}" + text + "{% endfor %}", SHOWN) == ""


def test_groups_and_parts_of_objects_have_names() -> None:
    facts = [{"subject": name, "value": {"kind": name[0]}} for name in ("ab", "ac", "b")]
    text = (
        "{% regroup facts.pets by value.kind as kinds %}"
        "{% for k in kinds %}{{ k.grouper }}:{% for f in k.list %}{{ f.subject }} {% endfor %}{% endfor %}"
        "{% for name in facts.keys %}{{ name }}{% endfor %}"
    )
    assert fill_prompt(text, {"facts": {"pets": facts}}) == "a:ab ac b:b pets"


def nested(count: int, opening: str, inner: str, closing: str) -> str:
    return opening * count + inner + closing * count


MANY = {"facts": {"k": ["x" * 1000] * 2000}}
BOMBS = {
    "doubled by add": nested(40, "{% with a=a|add:a %}", "{{ a|length }}", "{% endwith %}"),
    "kept again and again": nested(40, "{% with a=facts|json %}", "{{ a|length }}", "{% endwith %}"),
    "joined by something long": "{{ facts.k|join:facts.k.0 }}",
    "looped": nested(3, "{% for f in facts.k %}", "x", "{% endfor %}"),
    "looped over nothing": nested(3, "{% for f in facts.k %}", "", "{% endfor %}"),
    "shown again and again": "{% for f in facts.k %}{{ facts }}{% endfor %}",
    "read as text again and again": "{% for f in facts.k %}{% if facts|wordcount %}{% endif %}{% endfor %}",
    "shortened again and again": "{% for f in facts.k %}{{ facts|shorten:1 }}{% endfor %}",
    "sorted again and again": "{% for f in facts.k %}{{ facts.k|dictsort:0|length }}{% endfor %}" * 2,
    "grouped again and again": "{% for f in facts.k %}{% regroup facts.k by x as g %}{% endfor %}",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_prompt_that_would_fill_the_memory_is_stopped_early(bomb: str) -> None:
    text = "{% with a=facts.k.0 %}" + BOMBS[bomb] + "{% endwith %}"
    check_prompt(text, "each")
    with pytest.raises(PromptError, match="more than 5,000,000 characters of text on the way"):
        fill_prompt(text, MANY)


def test_lists_are_not_added() -> None:
    with pytest.raises(PromptError, match="add takes numbers or texts"):
        fill_prompt("{{ facts.k|add:facts.k }}", MANY)


def test_a_long_prompt_may_be_filled_in() -> None:
    shown = {"facts": {"k": [{"subject": f"s{n}", "value": n} for n in range(10_000)]}}
    line = "{% if f.value > 1 %}{{ forloop.counter }}. {{ f.subject|upper }}{% endif %}"
    text = "{% for f in facts.k %}" + line + "{% endfor %}"
    assert len(fill_prompt(text, shown)) > 100_000
    assert len(fill_prompt("{{ facts|json }}", {"facts": "x" * 900_000})) > 900_000


REFUSED = [
    ('{% now "Y" %}', "now"),
    ("{% lorem %}", "lorem"),
    ("{% debug %}", "debug"),
    ("{% load static %}", "load"),
    ('{% include "base.html" %}', "include"),
    ('{% extends "base.html" %}', "extends"),
    ('{% url "job" 1 %}', "url"),
    ("{% csrf_token %}", "csrf_token"),
    ("{{ facts|random }}", "random"),
    ("{{ item|safe }}", "safe"),
    ("{{ item.subject|center:1000000000 }}", "center"),
    ("{{ item.__class__ }}", "underscores"),
    ("{{ request.user }}", "`request`"),
    ("{{ settings.SECRET_KEY }}", "`settings`"),
    ("{{ item|get:key }}", "`key`"),
    ("{% if a or item == b %}{% endif %}", "`a`"),
    ("{% if item %}{% elif b %}{% endif %}", "`b`"),
    ("{% for x in xs %}{% endfor %}", "`xs`"),
    ("{% for x in facts %}{% endfor %}{{ x }}", "`x`"),
    ("{% with x=y %}{% endwith %}", "`y`"),
    ("{% firstof y item %}", "`y`"),
    ("{% regroup y by key as groups %}", "`y`"),
    ('{{ _("Yes") }}', "language"),
    ("{% if item %}", "Unclosed"),
    ("x" * 20_001, "the limit is 20,000"),
    ("{% if item %}" * 1_400, "cannot be read: RecursionError"),
]


@pytest.mark.parametrize(("text", "words"), REFUSED, ids=[text[:40] for text, _ in REFUSED])
def test_what_a_prompt_may_not_use_is_refused_when_it_is_saved(text: str, words: str) -> None:
    with pytest.raises(PromptError, match=words):
        check_prompt(text, "each")


def test_the_language_of_a_page_does_not_change_a_prompt() -> None:
    with translation.override("de"):
        assert fill_prompt('{% for f in facts|get:"pet.size" %}{{ f.value }}{% endfor %}', SHOWN) == "1234.5"


def test_a_prompt_that_grows_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.agents.prompts.MAX_PROMPT", 50)
    with pytest.raises(PromptError, match="the limit is 50"):
        fill_prompt("{{ item|json }}", SHOWN)


@pytest.mark.parametrize("text", ["{{ item.subject|shorten:0 }}", "{{ item.confidence|fixed:99 }}"])
def test_a_filter_that_cannot_work_says_so(text: str) -> None:
    with pytest.raises(PromptError, match="cannot be filled in"):
        fill_prompt(text, SHOWN)


def test_prompts_need_no_settings() -> None:
    code = "from runtime.agents.prompts import *; print(fill_prompt('{{ item.value }}', {'item': {'value': 0.5}}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env={})
    assert run.stdout == "0.5\n", run.stderr

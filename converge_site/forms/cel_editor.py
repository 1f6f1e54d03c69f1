"""A text field for CEL: what can be named there, examples to insert, and where a fault is. Works without scripts; with
them it is checked while somebody types."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from runtime.actions.cel_faults import Fault
from runtime.engine.compiled import expression_names
from runtime.engine.spec import RESOLUTION_KINDS, RULE_KINDS

_SLOT = {
    "key": "the key of the slot, such as “outlook”",
    "subject": "whom it is about",
}
_NAMES: dict[str, dict[str, str]] = {
    "proposal": {
        **_SLOT,
        "agent": "who proposes it; @seed for a seed, @person for a person, @operator for a decision",
        "value": "what is proposed; fields as in value.total",
        "confidence": "how sure the agent is, 0 to 1",
        "evidence": "what it gives as evidence; test for a field with has(evidence.source)",
    },
    "slot": {
        **_SLOT,
        "sides": "what is said, a side for each value: side.value, side.confidence, side.voices; of a voice agent, "
        "item, confidence, evidence",
    },
    "value": {
        **_SLOT,
        "value": "the value that would stand",
        "confidence": "the strength of its side, 0 to 1",
    },
}
_FUNCTIONS = {
    'fact("key", subject)': "the value that stands there, or null",
    'facts("key")': "all that stands under a key: an object of subject to value",
}
_ALWAYS = {
    "sum(list)": "the total of a list, or of an object’s values",
    "size(), contains(), startsWith(), endsWith(), matches()": "of texts and lists",
    "list.all(x, …), .exists(x, …), .filter(x, …), .map(x, …)": "over the parts of a list, or the names of an object",
}
_EXAMPLES: dict[str, list[tuple[str, str]]] = {
    "constraint": [
        ("confidence >= 0.5", "Nothing half-hearted"),
        ("!has(value.total) || value.total <= 1000", "A figure has a ceiling"),
        ('agent == "@seed" || has(evidence.source)', "Agents name a source"),
        ('fact("{key}", subject) != null', "Only about what is known there"),
        ('facts("{key}").size() <= 10', "At most ten of them"),
    ],
    "invariant": [
        ('facts("{key}").size() > 0', "There is at least one"),
        ('facts("{key}").all(s, facts("{key}")[s] != null)', "It holds for each of them"),
        ('facts("{key}").exists(s, s.startsWith("eu"))', "One of a kind is there"),
    ],
    "approval": [
        ("confidence < 0.8", "Whatever is not sure"),
        ('value == "critical"', "One value only"),
        ("value.spend >= 100000", "From an amount on"),
    ],
    "slot": [
        ("sides.size() == 2", "Only between two sides"),
        ("sides.all(side, side.confidence >= 0.5)", "Only where nobody is unsure"),
        (
            'sides.exists(side, side.voices.exists(voice, voice.agent == "scout"))',
            "Only where a certain agent speaks",
        ),
        ('subject.startsWith("eu")', "Only for some subjects"),
    ],
}
_SAYS = {
    "constraint": "A proposal is refused unless this is true of it.",
    "invariant": "The tier is reached only while this is true of all that stands.",
    "approval": "The value waits for people where this is true; leave it empty for always.",
    "discount": "A discount always applies: it takes no expression.",
}
_WHERE = "The rule is asked where this is true of the sides; leave it empty for always."
_PLAIN_KEY = re.compile(r"[\w.-]+")


def kind_helps(key: str = "") -> list[dict[str, Any]]:
    """For each kind of rule what an expression may name, and examples; `key` is one of the pack, for look-ups."""
    return [_help(kind, key if _PLAIN_KEY.fullmatch(key) else "key") for kind in RULE_KINDS]


def _help(kind: str, key: str) -> dict[str, Any]:
    family = {"constraint": "proposal", "approval": "value"}.get(kind, "slot")
    names = {name: _NAMES[family][name] for name in expression_names(kind)}
    looks_up = kind in ("constraint", "invariant")
    examples = _EXAMPLES.get("slot" if kind in RESOLUTION_KINDS else kind, [])
    return {
        "kind": kind,
        "says": _SAYS.get(kind, _WHERE),
        "names": names,
        "functions": {**(_FUNCTIONS if looks_up else {}), **_ALWAYS} if kind != "discount" else {},
        "examples": [(text.replace("{key}", key), says) for text, says in examples],
    }


class CelEditor(forms.Textarea):
    """The widget. A form sets `fault` after it was refused, `kind`, `pack` (an id, or None) and a `key` of it."""

    fault: Fault | None = None
    kind: str = ""
    pack: int | None = None
    key: str = ""

    class Media:
        css = {"all": ("cel_editor.css",)}
        js = ("cel_editor.js",)

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """The text with its help."""
        context = self.get_context(name, value, attrs)["widget"]
        return render_to_string(
            "fragments/_cel_editor.html",
            {"widget": context, "editor": self, "helps": kind_helps(self.key), "fault": self.fault},
        )

"""What a prompt may use of Django's template language: tags and filters that are pure.

Whatever reads a clock, chance, files, settings or addresses is not here (`now`, `lorem`, `random`, `include`,
`load`, `url`, `debug`): the same view must give the same prompt, and a prompt is text from the dashboard.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from django.template import Library, TemplateSyntaxError, defaultfilters, defaulttags

TAGS = ("comment", "firstof", "for", "if", "ifchanged", "regroup", "spaceless", "verbatim", "with")
FILTERS = (
    *(
        "add",
        "capfirst",
        "default",
        "default_if_none",
        "dictsort",
        "dictsortreversed",
        "divisibleby",
        "first",
    ),
    *("join", "last", "length", "lower", "slice", "upper", "wordcount"),
)
OWN_FILTERS = ("fixed", "get", "json", "shorten")
MAX_DIGITS = 20

register = Library()
for _tag in TAGS:
    register.tag(_tag, defaulttags.register.tags[_tag])
for _name in FILTERS:
    register.filters[_name] = defaultfilters.register.filters[_name]


@register.filter
def json(value: Any) -> str:
    """`value` as JSON, keys sorted, always the same for equal values."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


@register.filter
def get(value: Any, key: Any) -> Any:
    """The part of an object under `key`, which may hold dots, as names of keys do: `facts|get:"pet.size"`."""
    return value.get(key, "") if isinstance(value, Mapping) else ""


@register.filter
def fixed(value: Any, digits: Any) -> str:
    """A number with that many digits after the point; anything else as it is."""
    if type(digits) is not int or not 0 <= digits <= MAX_DIGITS:
        raise TemplateSyntaxError(f"fixed takes a number of digits from 0 to {MAX_DIGITS}, as in |fixed:2")
    return f"{value:.{digits}f}" if type(value) in (int, float) else str(value)


@register.filter
def shorten(value: Any, most: Any) -> str:
    """Text cut to that many characters."""
    text = str(value)
    if type(most) is not int or most < 1:
        raise TemplateSyntaxError("shorten takes a number of characters, as in |shorten:200")
    return text if len(text) <= most else text[: most - 1] + "…"

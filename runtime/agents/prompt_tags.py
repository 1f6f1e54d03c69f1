"""What a prompt may use of Django's template language: tags and filters that are pure.

Whatever reads a clock, chance, files, settings or addresses is not here (`now`, `lorem`, `random`, `include`,
`load`, `url`, `debug`): the same view must give the same prompt, and a prompt is text from the dashboard.

A few nested loops or `with`s could fill the memory long before a prompt's length is looked at. So every text that a
filter reads or makes is paid for as it comes about, and what is paid for in one prompt is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import wraps
from typing import Any

import orjson
from django.template import Library, TemplateSyntaxError, defaultfilters, defaulttags

TAGS = ("comment", "firstof", "for", "if", "ifchanged", "regroup", "spaceless", "verbatim", "with")
FILTERS = (
    *("capfirst", "default", "default_if_none", "dictsort", "dictsortreversed", "divisibleby", "first"),
    *("last", "length", "lower", "slice", "upper", "wordcount"),
)
SORTS = ("dictsort", "dictsortreversed")
TEXTUAL = ("capfirst", "lower", "shorten", "upper", "wordcount")  # take whatever they are given as text
OWN_FILTERS = ("add", "fixed", "get", "join", "json", "shorten")
MAX_DIGITS = 20
MAX_WORK = 5_000_000  # characters
STEP = 20  # what one filter or one node of a template costs beside its text

_work: ContextVar[int] = ContextVar("converge_prompt_work", default=0)

register = Library()


class TooMuch(Exception):
    """A template makes more text on the way to its prompt than any prompt needs."""


def begin_work() -> None:
    """Nothing is paid for as yet."""
    _work.set(0)


def pay(characters: int) -> None:
    """For one step and so much text. Raises TooMuch."""
    spent = _work.get() + STEP + characters
    _work.set(spent)
    if spent > MAX_WORK:
        raise TooMuch


def _paid(name: str, made_by: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, for what it costs."""

    @wraps(made_by)
    def paid(value: Any, *args: Any, **options: Any) -> Any:
        value = str(value) if name in TEXTUAL else value
        is_read = isinstance(value, str) or (name in SORTS and isinstance(value, list))
        pay(len(value) if is_read else 0)
        made = made_by(value, *args, **options)
        if isinstance(made, str):
            pay(len(made))
        return made

    return paid


for _tag in TAGS:
    register.tag(_tag, defaulttags.register.tags[_tag])
for _name in FILTERS:
    register.filters[_name] = _paid(_name, defaultfilters.register.filters[_name])


def _filter(make: Callable[..., Any]) -> Callable[..., Any]:
    register.filters[make.__name__] = _paid(make.__name__, make)
    return make


@_filter
def add(value: Any, other: Any) -> Any:
    """Two numbers as their sum, two texts as one."""
    if isinstance(value, list) or isinstance(other, list):
        raise TemplateSyntaxError("add takes numbers or texts, as in |add:1")
    return defaultfilters.add(value, other)


@_filter
def join(value: Any, between: Any) -> Any:
    """The parts of a list as one text."""
    if not isinstance(value, list):
        return value
    parts = [str(part) for part in value]
    pay(
        sum(map(len, parts)) + len(str(between)) * len(parts)
    )  # beforehand: this may be far more than is there
    return str(between).join(parts)


@_filter
def json(value: Any) -> str:
    """`value` as JSON, keys sorted, always the same for equal values."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


@_filter
def get(value: Any, key: Any) -> Any:
    """The part of an object under `key`, which may hold dots, as names of keys do: `facts|get:"pet.size"`."""
    return value.get(key, "") if isinstance(value, Mapping) else ""


@_filter
def fixed(value: Any, digits: Any) -> str:
    """A number with that many digits after the point; anything else as it is."""
    if type(digits) is not int or not 0 <= digits <= MAX_DIGITS:
        raise TemplateSyntaxError(f"fixed takes a number of digits from 0 to {MAX_DIGITS}, as in |fixed:2")
    return f"{value:.{digits}f}" if type(value) in (int, float) else str(value)


@_filter
def shorten(value: Any, most: Any) -> str:
    """Text cut to that many characters."""
    text = str(value)
    if type(most) is not int or most < 1:
        raise TemplateSyntaxError("shorten takes a number of characters, as in |shorten:200")
    return text if len(text) <= most else text[: most - 1] + "…"

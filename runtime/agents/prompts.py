"""Prompts: Django templates over plain JSON, in an engine of their own.

The engine has no loaders and no libraries, only what `prompt_tags` lists. Nothing is escaped: a prompt is no HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from django.template import Context, Engine, Template, TemplateSyntaxError
from django.template.base import FilterExpression, Node, Variable

from runtime.engine.spec import Shape

NAMES = ("agent", "contested", "facts", "held", "shape", "writes")
OWN_NAMES: dict[Shape, tuple[str, ...]] = {  # what one shape is shown beside them
    "whole": (),
    "each": ("item",),
    "grouped": ("group",),
    "aggregate": ("sides", "slot"),
}
MAX_TEMPLATE = 20_000  # characters
_TRANSLATED = re.compile(r"(?:\A|[:|])_\(")
MAX_PROMPT = 1_000_000  # characters


class PromptError(ValueError):
    """A prompt that cannot be read or filled in. The message is for whoever wrote it."""


class _PromptEngine(Engine):
    default_builtins = ["runtime.agents.prompt_tags"]


def check_prompt(text: str, shape: Shape) -> None:
    """Raises PromptError unless `text` is a template that uses known tags, filters and names only."""
    names = sorted([*NAMES, *OWN_NAMES[shape]])
    known = frozenset([*names, "True", "False", "None"])
    unknown = sorted(set(_unknown_names(_compiled(text).nodelist, known)))
    if unknown:
        raise PromptError(f"unknown name `{unknown[0]}`; a {shape} agent's prompt knows {', '.join(names)}")


def fill_prompt(text: str, shown: Mapping[str, Any]) -> str:
    """The template `text` over the JSON object `shown`. Raises PromptError."""
    # Numbers are written the same whatever language is active: localization is off.
    context = Context(dict(shown), autoescape=False, use_l10n=False, use_tz=False)
    try:
        prompt = str(_compiled(text).render(context))
    except PromptError:
        raise
    except Exception as error:  # a template may stumble over any value it is shown
        raise PromptError(f"it cannot be filled in: {type(error).__name__}: {error}") from None
    if len(prompt) > MAX_PROMPT:
        raise PromptError(
            f"it is {len(prompt):,} characters long when filled in; the limit is {MAX_PROMPT:,}"
        )
    return prompt


@lru_cache(maxsize=256)
def _compiled(text: str) -> Template:
    if len(text) > MAX_TEMPLATE:
        raise PromptError(f"it has {len(text):,} characters; the limit is {MAX_TEMPLATE:,}")
    try:
        return _engine().from_string(text)
    except TemplateSyntaxError as error:
        raise PromptError(str(error).rstrip(".")) from None
    except Exception as error:  # the parser stumbles over much in ways of its own
        raise PromptError(f"it cannot be read: {type(error).__name__}") from None


@lru_cache(maxsize=1)
def _engine() -> Engine:
    return _PromptEngine(loaders=[], libraries={}, autoescape=False)


def _unknown_names(nodes: Iterable[Node], known: frozenset[str]) -> Iterator[str]:
    """Names that no view has. A misspelt one would leave a hole in the prompt and nobody would notice."""
    for node in nodes:
        inner = known | set(_bound_by(node))
        for expression in _expressions(node):
            yield from (name for name in _names_in(expression) if name not in inner)
        for attribute in node.child_nodelists:
            yield from _unknown_names(getattr(node, attribute, None) or (), inner)
        for _, branch in getattr(node, "conditions_nodelists", ()):
            yield from _unknown_names(branch, inner)
        if hasattr(node, "var_name"):  # `regroup` names something for what follows it
            known = inner


def _bound_by(node: Node) -> Iterator[str]:
    yield from getattr(node, "loopvars", ())
    if hasattr(node, "loopvars"):
        yield "forloop"
    yield from getattr(node, "extra_context", ())
    if hasattr(node, "var_name"):
        yield node.var_name


def _expressions(node: Node) -> Iterator[Any]:
    yield from (getattr(node, name, None) for name in ("filter_expression", "sequence", "target"))
    yield from getattr(node, "extra_context", {}).values()
    yield from getattr(node, "vars", ())
    yield from getattr(node, "_varlist", ())
    for condition, _ in getattr(node, "conditions_nodelists", ()):
        yield from _operands(condition)


def _operands(condition: Any) -> Iterator[Any]:
    if condition is not None:
        yield getattr(condition, "value", None)
        yield from _operands(getattr(condition, "first", None))
        yield from _operands(getattr(condition, "second", None))


def _names_in(expression: Any) -> Iterator[str]:
    if not isinstance(expression, FilterExpression):
        return
    if _TRANSLATED.search(expression.token):
        raise PromptError("it asks for a translation with _(…): a prompt is the same in every language")
    given = [expression.var, *(value for _, args in expression.filters for is_var, value in args if is_var)]
    for variable in given:
        if isinstance(variable, Variable) and variable.lookups:
            yield variable.lookups[0]

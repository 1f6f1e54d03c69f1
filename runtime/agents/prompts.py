"""Prompts: Django templates over plain JSON, in an engine of their own.

The engine has no loaders and no libraries, only what `prompt_tags` lists. Nothing is escaped: a prompt is no HTML.
Names lead to parts of the data and to nothing else: where Django would call a method (`{{ item.value.clear }}`), there
is no such name here. What it costs to fill a prompt in is counted as it goes (`prompt_tags.pay`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, partial
from typing import Any

import orjson
from django.template import Context, Engine, Template, TemplateSyntaxError, VariableDoesNotExist
from django.template.base import FilterExpression, Lexer, Node, NodeList, Parser, TextNode, Token, Variable
from django.template.context import BaseContext
from django.template.defaulttags import ForNode, GroupedResult, RegroupNode

from runtime.agents.prompt_tags import MAX_WORK, STEP, TooMuch, begin_work, pay
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


class _PromptTemplate(Template):
    def compile_nodelist(self) -> NodeList:
        tokens = Lexer(self.source).tokenize()
        return _PromptParser(tokens, {}, self.engine.template_builtins, self.origin).parse()


class _PromptParser(Parser):
    """Makes expressions that see parts of the data only, and nodes that are paid for."""

    def compile_filter(self, token: str) -> FilterExpression:
        return _Expression(token, self)

    def extend_nodelist(self, nodelist: NodeList, node: Node, token: Token) -> None:
        if isinstance(node, ForNode):
            body: list[Any] = node.nodelist_loop
            body.append(_paid(TextNode("")))  # a turn without a body costs something too
        super().extend_nodelist(nodelist, _paid(node), token)


class _Expression(FilterExpression):
    def __init__(self, token: str, parser: Parser) -> None:
        super().__init__(token, parser)
        if isinstance(self.var, Variable):
            self.var = _Name(self.var.var)
        self.filters = [
            (made_by, [(is_name, _Name(given.var) if is_name else given) for is_name, given in arguments])
            for made_by, arguments in self.filters
        ]


class _Name(Variable):
    def _resolve_lookup(self, context: Any) -> Any:
        found = context
        for part in self.lookups or ():
            found = _part_of(found, part)
        return found


def _part_of(whole: Any, part: str) -> Any:
    """What a name leads to from `whole`. Raises VariableDoesNotExist."""
    try:
        if isinstance(whole, dict | BaseContext):
            return whole[part]
        if isinstance(whole, list | tuple | str) and part.isdecimal():
            return whole[int(part)]
    except (KeyError, IndexError):
        pass
    if isinstance(whole, dict) and part in ("items", "keys", "values"):
        return list(getattr(whole, part)())
    if isinstance(whole, GroupedResult) and part in whole._fields:
        return getattr(whole, part)
    raise VariableDoesNotExist("There is no %s.", (part,))


def _paid(node: Node) -> Node:
    """The node, for what its text costs; that of one which holds others is paid for by those."""
    holds = any(hasattr(node, nodes) for nodes in node.child_nodelists)
    setattr(node, "render_annotated", partial(_render, node, node.render_annotated, holds))  # noqa: B010
    return node


def _render(node: Node, render: Callable[[Context], Any], holds: bool, context: Context) -> str:
    text = str(render(context))
    pay(0 if holds else len(text))
    if isinstance(node, RegroupNode):
        pay(STEP * sum(len(group.list) for group in context[node.var_name]))
    return text


def check_prompt(text: str, shape: Shape) -> None:
    """Raises PromptError unless `text` is a template that uses known tags, filters and names only."""
    names = sorted([*NAMES, *OWN_NAMES[shape]])
    known = frozenset([*names, "True", "False", "None"])
    unknown = sorted(set(_unknown_names(_compiled(text).nodelist, known)))
    if unknown:
        raise PromptError(f"unknown name `{unknown[0]}`; a {shape} agent's prompt knows {', '.join(names)}")


def fill_prompt(text: str, shown: Mapping[str, Any]) -> str:
    """The template `text` over the JSON object `shown`. Raises PromptError."""
    try:
        own = orjson.loads(orjson.dumps(dict(shown)))  # a copy: what is shown is in use elsewhere
        # Numbers are written the same whatever language is active: localization is off.
        context = Context(own, autoescape=False, use_l10n=False, use_tz=False)
        begin_work()
        prompt = str(_compiled(text).render(context))
    except PromptError:
        raise
    except TooMuch:
        raise PromptError(
            f"it makes more than {MAX_WORK:,} characters of text on the way; loop over less, or nest fewer loops"
        ) from None
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
        return _PromptTemplate(text, engine=_engine())
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

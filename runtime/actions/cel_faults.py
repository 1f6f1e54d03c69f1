"""What is wrong with a CEL expression that somebody types, and where: the words of a save, with a line to point at."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from runtime.actions.refusals import Refused
from runtime.actions.rule_checks import check_expression
from runtime.agents.errors import describe_expression_error
from runtime.engine import ExpressionError, PackSpec, RuleSpec, compile_expression
from runtime.engine.compiled import expression_names
from runtime.engine.spec import RULE_KINDS

MOST_SHOWN = 120  # characters of the line that is pointed at

_UNKNOWN_KEY = re.compile(r"looks up '(.*?)';", re.DOTALL)
_AT = re.compile(r", at character (\d+)")
_STRING = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'')
_BINDS = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*(\()\s*(\w+)\s*,")


@dataclass(frozen=True, slots=True)
class Fault:
    """`line` and `column` count from 1, 0 where there is no place; `excerpt` is that line, or what is near the place,
    and `caret` a line that points at it from below."""

    message: str
    line: int = 0
    column: int = 0
    excerpt: str = ""
    caret: str = ""


def find_fault(kind: str, expression: str, pack: PackSpec) -> Fault | None:
    """What `check_rule` would refuse of the expression of a rule of this kind; None if nothing."""
    if kind not in RULE_KINDS:
        return Fault(f"There is no kind {kind[:60]!r}; kinds are {', '.join(RULE_KINDS)}.")
    text = expression.replace("\r\n", "\n")
    if not text.strip():
        text = ""  # which means something for most kinds
    try:
        if text:
            compile_expression(text, expression_names(kind))
        check_expression(RuleSpec("", kind, expression=text), pack)
        check_scopes(kind, text)
    except ExpressionError as error:
        return _point(text, f"This is no CEL: {describe_expression_error(text, error)}.", error.position)
    except Refused as refusal:
        return _point(text, refusal.message, _place_of(text, refusal.message))
    return None


def check_scopes(kind: str, expression: str) -> None:
    """Raises Refused for a name that only a comprehension knows and that stands outside of it: it would compile, and
    fail whenever it is evaluated."""
    try:
        if expression.strip():
            _check_scopes(expression, expression_names(kind))
    except ExpressionError as error:
        fault = describe_expression_error(expression, error)
        raise Refused(f"This is no CEL: {fault}.", field="expression") from None


def _check_scopes(text: str, known: Sequence[str]) -> None:
    bare = _STRING.sub(lambda m: "_" * len(m.group()), text)
    spans: dict[str, list[tuple[int, int]]] = {}
    for bound in _BINDS.finditer(bare):
        if bound[2] not in known:
            spans.setdefault(bound[2], []).append((bound.start(1), _closing(bare, bound.start(1))))
    for name, scopes in spans.items():
        for found in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", bare):
            at = found.start()
            is_member = bare[:at].rstrip().endswith(".")
            if not is_member and not any(start < at < end for start, end in scopes):
                raise ExpressionError(
                    f"`{name}` is known only inside the brackets of the comprehension that binds it", at
                )


def _closing(bare: str, start: int) -> int:
    """Where the bracket that opens at `start` closes; the end if it does not."""
    depth = 0
    for at in range(start, len(bare)):
        depth += (bare[at] in "([{") - (bare[at] in ")]}")
        if not depth:
            return at
    return len(bare)


def _place_of(text: str, message: str) -> int | None:
    """The place that a refusal is about, where it names one."""
    told = _AT.search(message)
    if told is not None:
        return int(told[1]) - 1
    unknown = _UNKNOWN_KEY.search(message)
    if unknown is None:
        return None
    found = re.search(rf"\bfacts?\s*\(\s*[\"']{re.escape(unknown[1])}[\"']", text)
    return found.start() if found else None


def _point(text: str, message: str, position: int | None) -> Fault:
    if position is None:
        return Fault(message)
    before = text[:position]
    line, start = before.count("\n") + 1, before.rfind("\n") + 1
    end = text.find("\n", position)
    whole = text[start : len(text) if end < 0 else end]
    at = position - start
    cut = max(0, at - MOST_SHOWN + 20)
    excerpt = whole[cut : cut + MOST_SHOWN].replace("\t", " ")
    return Fault(message, line, at + 1, excerpt, " " * (at - cut) + "^")

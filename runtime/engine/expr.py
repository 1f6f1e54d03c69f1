"""CEL expressions in rules: compiled and cost-bounded when saved, never Python (D9.4).

An expression sees only what it is given: plain variables, and two functions over the frozen view: `fact("key",
subject)`, the value standing there or null, and `facts("key")`, an object of subject to value; and `sum(…)` of a
list or of an object's values. Keys are
literals, so that what a rule reads is known before it runs (D3.3). An error in evaluation denies.

JSON has one kind of number and CEL has three that do not mix, so every number, in values and in the source, is taken
as a double (an index in brackets stays an integer): `value.total * 1.5 <= 100` means what it says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cel

MAX_EXPRESSION = 2_048
MAX_NESTING = 32
MAX_COMPREHENSIONS = 2

_STRING = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'')
_LOOKUP = re.compile(r"\b(facts?)\s*\(")
_LITERAL_KEY = re.compile(r"\s*(?:\"_*\"|'_*')\s*[,)]")
_LITERAL = re.compile(r"\bfacts?\s*\(\s*(?:\"([^\"\\]+)\"|'([^'\\]+)')")
_COMPREHENSION = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(")
_FUNCTIONS = frozenset({"fact", "facts"})
_KNOWN_FUNCTIONS = {
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "has",
    "sum",
    "duration",
    "timestamp",
}
_KNOWN_FUNCTIONS |= {"int", "uint", "double", "string", "bool", "bytes", "type", "dyn"}
_KNOWN_FUNCTIONS |= {"getFullYear", "getMonth", "getDate", "getHours"}
_BOUND = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*(\w+)\s*,")
_PLACE = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_INTEGER = re.compile(r"(?<![\w.])(\d+)(?![\w.])")


class ExpressionError(ValueError):
    """An expression cannot be compiled, is too large, or failed. `position` is a character offset, or None."""

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


class Scope:
    """Variables and functions for several evaluations: what is set again for each of them is all that is converted
    anew. Raises ExpressionError for what is no JSON."""

    __slots__ = ("context",)

    def __init__(
        self, variables: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]] | None = None
    ) -> None:
        wrapped = {name: _doubled(call) for name, call in (functions or {}).items()}
        wrapped["sum"] = _sum
        self.context = cel.Context(variables={}, functions=wrapped)
        for name, value in variables.items():
            self.set(name, value)

    def set(self, name: str, value: Any) -> None:
        """Binds one variable, anew if need be."""
        try:
            self.context.add_variable(name, _doubles(value))
        except Exception as error:
            raise ExpressionError(f"`{name}` cannot be bound: {error}") from None


class Expression:
    """A compiled expression. `keys` are those it looks up; `evaluate` raises ExpressionError."""

    __slots__ = ("_program", "keys", "source")

    def __init__(self, source: str, program: Any, keys: tuple[str, ...]) -> None:
        self.source = source
        self.keys = keys
        self._program = program

    def evaluate(
        self, variables: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]] | None = None
    ) -> Any:
        """The expression's value as JSON. Raises ExpressionError on any error, a missing field among them."""
        try:
            numbers = {name: _doubles(value) for name, value in variables.items()}
            wrapped = {name: _doubled(call) for name, call in (functions or {}).items()}
            wrapped["sum"] = _sum
            return self._program.execute(cel.Context(variables=numbers, functions=wrapped))
        except Exception as error:
            raise ExpressionError(f"`{self.source}` failed: {error}") from None

    def evaluate_in(self, scope: Scope) -> Any:
        """The same, with what is bound in `scope`."""
        try:
            return self._program.execute(scope.context)
        except Exception as error:
            raise ExpressionError(f"`{self.source}` failed: {error}") from None

    def holds(
        self, variables: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]] | None = None
    ) -> bool:
        """Whether it is true, and nothing but true."""
        return self.evaluate(variables, functions) is True


def compile_expression(source: str, variables: Sequence[str]) -> Expression:
    """`source` compiled, knowing only `variables` and the look-up functions.

    Raises ExpressionError for syntax, unknown names, look-ups by anything but a literal key, more than 2,048
    characters, brackets 32 deep, or comprehensions nested more than two deep.
    """
    if not source.strip():
        raise ExpressionError("the expression is empty", 0)
    if len(source) > MAX_EXPRESSION:
        raise ExpressionError(
            f"the expression has {len(source):,} characters; the limit is {MAX_EXPRESSION:,}"
        )
    bare = _STRING.sub(lambda m: '"' + "_" * (len(m.group()) - 2) + '"', source)
    if "%" in bare:
        raise ExpressionError("% is not available: all numbers here are doubles", bare.index("%"))
    _check_nesting(bare)
    keys = _looked_up(source, bare)
    try:
        program = cel.compile(source)
    except ValueError as error:
        raise _syntax_error(str(error), source) from None
    _check_names(program, bare, variables)
    return Expression(source, cel.compile(_with_doubles(source)), keys)


def _sum(values: Any) -> float:
    """The one function beyond CEL's own: the total of a list, or of an object's values. Order does not matter."""
    return math.fsum(values.values() if isinstance(values, dict) else values)


def _doubles(value: Any) -> Any:
    if type(value) is int:
        return float(value)
    if type(value) is dict:
        return {k: _doubles(v) for k, v in value.items()}
    if type(value) is list or type(value) is tuple:
        return [_doubles(v) for v in value]
    return value


def _doubled(call: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: _doubles(call(*args))


def _with_doubles(source: str) -> str:
    """The source with its integer literals as doubles, but for those in strings and in index brackets."""
    parts: list[str] = []
    last = 0
    for text in _STRING.finditer(source):
        parts += [_double_literals(source[last : text.start()]), text.group()]
        last = text.end()
    return "".join([*parts, _double_literals(source[last:])])


def _double_literals(code: str) -> str:
    def double(match: re.Match[str]) -> str:
        before = code[: match.start()].rstrip()
        indexes = before.endswith("[") and re.search(r"[\w\])]\s*\[$", before) is not None
        return match.group() if indexes else match.group() + ".0"

    return _INTEGER.sub(double, code)


def _check_nesting(bare: str) -> None:
    """Bounds depth, and how deep comprehensions lie in each other: each level multiplies the cost."""
    loops: list[bool] = []
    opens = {m.end() - 1 for m in _COMPREHENSION.finditer(bare)}
    for at, char in enumerate(bare):
        if char in "([{":
            loops.append(at in opens)
            if len(loops) > MAX_NESTING:
                raise ExpressionError(f"brackets are nested more than {MAX_NESTING} deep", at)
            if sum(loops) > MAX_COMPREHENSIONS:
                raise ExpressionError(
                    f"comprehensions (all, exists, map, filter) are nested more than {MAX_COMPREHENSIONS} deep",
                    at,
                )
        elif char in ")]}" and loops:
            loops.pop()


def _looked_up(source: str, bare: str) -> tuple[str, ...]:
    for match in _LOOKUP.finditer(bare):
        if _LITERAL_KEY.match(bare, match.end()) is None:
            raise ExpressionError(
                f'{match.group(1)}(…) needs a key in quotes, as in fact("plan", "q3")', match.start()
            )
    return tuple(sorted({a or b for a, b in _LITERAL.findall(source)}))


def _syntax_error(text: str, source: str) -> ExpressionError:
    """The parser's first complaint. It quotes the source before it, which may itself look like a place."""
    said = text.removeprefix(f"Failed to parse expression '{source}': ")
    where = _PLACE.match(said)
    if where is None:
        return ExpressionError(f"the expression cannot be read: {said[:200]}")
    line, column = int(where.group(1)), int(where.group(2))
    before = source.split("\n")[: line - 1]
    offset = min(sum(len(part) + 1 for part in before) + column - 1, len(source))
    return ExpressionError(f"line {line}, column {column}: {where.group(3)}", offset)


def _check_names(program: Any, bare: str, variables: Sequence[str]) -> None:
    """Unknown names fail when saved, not when a job runs."""
    known = set(variables)
    bound = set(_BOUND.findall(bare))
    for name in sorted(set(_names(program.variables)) - bound):
        if name not in known and not name.startswith("@"):
            at = re.search(rf"\b{re.escape(name)}\b", bare)
            raise ExpressionError(
                f"unknown name `{name}`; known here: {', '.join(sorted(known)) or 'fact(…), facts(…)'}",
                at.start() if at else None,
            )
    for name in sorted(set(_names(program.functions))):
        if name.isidentifier() and name not in _FUNCTIONS and name not in _KNOWN_FUNCTIONS:
            at = re.search(rf"\b{re.escape(name)}\s*\(", bare)
            raise ExpressionError(f"unknown function `{name}`", at.start() if at else None)


def _names(listing: Any) -> list[str]:
    return list(listing() if callable(listing) else listing)

"""What can be wrong with a declaration."""

from __future__ import annotations

import re

from runtime.engine.expr import ExpressionError
from runtime.engine.lint import PackError

_EXPECTED = re.compile(r"\s*expecting \{.*\}", re.DOTALL)  # the parser's list of all tokens it knows


class DeclarationError(PackError):
    """A pack says in code something that cannot be. The message names the thing and the way out."""


def describe_expression_error(text: str, error: ExpressionError) -> str:
    """What is wrong with the CEL expression `text`, and where, without a full stop."""
    message = _EXPECTED.sub("", str(error)).rstrip(".")
    if error.position is None or message.startswith("line "):
        return message
    near = text[error.position : error.position + 20]
    return f"{message}, at character {error.position + 1}" + (f", before `{near}`" if near else "")

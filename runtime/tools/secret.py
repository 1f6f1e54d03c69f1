"""A tool's secret: read where it is needed, sent in one header, and struck out of everything that comes back.

The database holds the *name* of an environment variable, never what is in it. A tool may answer with its caller's own
key (error pages do); so the secret is replaced in every answer and message before anybody else sees it.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
from typing import Any
from urllib.parse import quote

from runtime.tools.failures import ToolFailed
from runtime.tools.spec import ToolSpec

STRUCK_OUT = "•••"
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
SHORTEST = 4


def secret_headers(tool: ToolSpec) -> dict[str, str]:
    """The header that holds the tool's secret; none if it has no secret. Raises ToolFailed("refused") where the
    environment variable is not set, or holds what no header may hold."""
    if not tool.secret_env:
        return {}
    secret = _read(tool)
    if not secret:
        raise _refuse(tool, "is not set where the worker runs")
    if len(secret) < SHORTEST:
        raise _refuse(tool, f"holds fewer than {SHORTEST} characters, which is no secret")
    if not (secret.isascii() and secret.isprintable()):
        raise _refuse(tool, "holds characters that no header may have")
    return {tool.secret_header: tool.secret_prefix + secret}


def strike_out(tool: ToolSpec, value: Any) -> Any:
    """JSON without the tool's secret, in whatever form it came; the same object where it holds none."""
    forms = _forms(tool)
    return _without(forms, value) if forms else value


def strike_out_of_text(tool: ToolSpec, text: str) -> str:
    """Any text without the tool's secret; without the escapes of JSON and HTML as well, in which it could hide."""
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], text)
    return str(strike_out(tool, html.unescape(strike_out(tool, plain))))


def _read(tool: ToolSpec) -> str:
    return os.environ.get(tool.secret_env, "").strip()


def _refuse(tool: ToolSpec, why: str) -> ToolFailed:
    return ToolFailed("refused", f"{tool.name} is not called: {tool.secret_env} {why}.", tool=tool.name)


def _without(forms: list[str], value: Any) -> Any:
    if isinstance(value, str):
        for form in forms:
            value = value.replace(form, STRUCK_OUT)
        return value
    if isinstance(value, list):
        return [_without(forms, part) for part in value]
    if isinstance(value, dict):
        return {_without(forms, key): _without(forms, part) for key, part in value.items()}
    return value


def _forms(tool: ToolSpec) -> list[str]:
    """The texts in which the secret may come back, longest first, so that none leaves a rest of another."""
    secret = _read(tool) if tool.secret_env else ""
    if len(secret) < SHORTEST:
        return []
    plain = {secret}
    if tool.secret_prefix.strip().lower() == "basic":
        plain |= _basic_parts(secret)
    forms = set()
    for text in plain:
        escaped = json.dumps(text)[1:-1]
        forms |= {text, text[::-1], escaped, escaped.replace("/", "\\/"), html.escape(text)}
        forms |= {quote(text), quote(text, safe=""), text.encode().hex()}
        forms |= _in_base64(text.encode())
    return sorted((form for form in forms if len(form) >= SHORTEST), key=lambda form: (-len(form), form))


def _basic_parts(secret: str) -> set[str]:
    """What HTTP's Basic scheme packs: `user:password`, and the password."""
    try:
        pair = base64.b64decode(secret, validate=True).decode()
    except ValueError:
        return set()
    return {pair, pair.partition(":")[2]} - {""}


def _in_base64(secret: bytes) -> set[str]:
    """The part of a base64 text that the secret alone decides, wherever in the encoded text it begins."""
    found = set()
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + secret).decode()
        core = encoded[(0, 2, 3)[shift] : (shift + len(secret)) * 8 // 6]
        if len(core) >= 2 * SHORTEST:
            found |= {core, core.replace("+", "-").replace("/", "_")}
    return found

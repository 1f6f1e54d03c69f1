"""What the simulated language model writes: chat completions as OpenAI-compatible servers give them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from runtime.tools.flaky.filling import fill_schema

# A strategy as the pack `growth` words it, wherever in the prompt it stands.
_STRATEGY = re.compile(r"Back ([^;\n\"]+); keep ([^;\n\"]+); cut ([^;\n\"]+?)\.(?=[\"\s]|\Z)")
CHARACTERS_A_TOKEN = 4


def complete_chat(asked: Mapping[str, Any]) -> dict[str, Any]:
    """A completion of `messages` that honours `response_format` (text, json_object or json_schema), with usage."""
    prompt = _prompt(asked)
    return completion(asked, json_or_text(asked, write_about(prompt), prompt), prompt)


def complete_in_another_shape(asked: Mapping[str, Any]) -> dict[str, Any]:
    """A well-formed completion whose content is JSON that nobody asked for."""
    return completion(asked, '{"poem": ["Roses are red", 7]}', _prompt(asked))


def completion(asked: Mapping[str, Any], content: str, prompt: str) -> dict[str, Any]:
    """The envelope around `content`; a token is taken to be four characters."""
    read, written = _tokens(prompt), _tokens(content)
    return {
        "id": f"chatcmpl-{sha256((prompt + content).encode()).hexdigest()[:24]}",
        "object": "chat.completion",
        "created": 0,
        "model": str(asked.get("model") or "simulated"),
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
    }


def write_about(prompt: str) -> str:
    """Two sentences about the strategy that the prompt holds, else one about the prompt."""
    found = _STRATEGY.search(prompt)
    if found is None:
        return f"A simulated answer to a prompt of {_tokens(prompt)} tokens."
    back, keep, cut = found.groups()
    moves = [f"cut {cut}"] * (cut != "nothing") + [f"put the money behind {back}"] * (back != "nothing")
    first = " and ".join(moves) or "change little"
    held = "Nothing is left as it is." if keep == "nothing" else f"What happens to {keep} can wait."
    return f"In short: {first}. {held}"


def json_or_text(asked: Mapping[str, Any], text: str, about: str) -> str:
    """`text` in the form that `response_format` asks for."""
    wanted = asked.get("response_format")
    form = wanted.get("type") if isinstance(wanted, dict) else None
    if form == "json_object":
        return json.dumps({"text": text}, ensure_ascii=False)
    if form != "json_schema":
        return text
    described = wanted.get("json_schema") if isinstance(wanted, dict) else None
    schema = described.get("schema") if isinstance(described, dict) else None
    return json.dumps(
        fill_schema(schema if isinstance(schema, dict) else {}, about, text), ensure_ascii=False
    )


def _prompt(asked: Mapping[str, Any]) -> str:
    """All that the messages say, in order."""
    messages = asked.get("messages")
    said = [m.get("content") for m in messages if isinstance(m, dict)] if isinstance(messages, list) else []
    return "\n".join(part for part in said if isinstance(part, str))


def _tokens(text: str) -> int:
    return -(-len(text) // CHARACTERS_A_TOKEN)

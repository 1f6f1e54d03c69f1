"""Chat completions as OpenAI-compatible servers speak them: what is asked, and what came back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from runtime.tools.failures import ToolFailed, bad_output

PATH = "/chat/completions"
MOST_TOKENS = 1_000_000_000  # of one call; what a server claims beyond that is not believed
CHARACTERS_A_TOKEN = 4  # where a server does not say what it used
LONGEST_MODEL = 200

_FENCE = re.compile(r"\A\s*```[a-zA-Z]*\s*\n(.*?)\n?\s*```\s*\Z", re.DOTALL)


class Completion(NamedTuple):
    """What a model said: its text, the model that says it answered ("" if it does not), and why it stopped."""

    text: str
    model: str
    finish: str


def read_completion(tool: str, value: Any) -> Completion:
    """The first choice of a chat completion. Raises ToolFailed for anything else, and for a model that refuses."""
    choices = value.get("choices") if isinstance(value, Mapping) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, Mapping) else None
    if not isinstance(choice, Mapping) or not isinstance(message, Mapping):
        raise bad_output(tool, "something that is no chat completion")
    text = _text_of(message.get("content"))
    if message.get("refusal") or choice.get("finish_reason") == "content_filter":
        raise ToolFailed("bad_output", f"The model behind {tool} declined to answer.", tool=tool)
    if text is None:
        raise bad_output(tool, "a chat completion without text")
    model, finish = value.get("model"), choice.get("finish_reason")
    return Completion(
        text,
        model[:LONGEST_MODEL] if isinstance(model, str) else "",
        finish if isinstance(finish, str) else "",
    )


def with_model(value: Any, asked: str) -> Any:
    """The answer with the model that was asked for where it names none, so that the record of the call tells."""
    if isinstance(value, dict) and not isinstance(value.get("model"), str):
        return {**value, "model": asked}
    return value


def unfenced(text: str) -> str:
    """`text` without the Markdown fence that models like to put around JSON."""
    found = _FENCE.match(text)
    return found.group(1) if found else text


def count_tokens(messages: Sequence[Mapping[str, str]], value: Any) -> tuple[int, int]:
    """Tokens read and written: what the server says, or an estimate from the length of the texts where it says
    nothing usable, so that no server is free of the budget by keeping silent."""
    usage = value.get("usage") if isinstance(value, Mapping) else None
    told = usage if isinstance(usage, Mapping) else {}
    read, written = _count(told.get("prompt_tokens")), _count(told.get("completion_tokens"))
    if read is None:
        read = _estimate(sum(len(message["content"]) for message in messages))
    if written is None:
        written = _estimate(_length(value))
    return read, written


def _length(value: Any) -> int:
    try:
        return len(read_completion("", value).text)
    except ToolFailed:
        return 0


def _count(told: Any) -> int | None:
    return min(told, MOST_TOKENS) if type(told) is int and told >= 0 else None


def _estimate(characters: int) -> int:
    return -(-characters // CHARACTERS_A_TOKEN)


def _text_of(content: Any) -> str | None:
    """The content of a message: text, or the texts of its parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = [part.get("text") for part in content if isinstance(part, Mapping) and part.get("type") == "text"]
    texts = [text for text in parts if isinstance(text, str)]
    return "".join(texts) if texts else None

"""Free text from people: bounded, and such that every database can keep it."""

from __future__ import annotations

from runtime.actions.refusals import Refused


def check_text(field: str, text: str, limit: int) -> None:
    """Refuses text of more than `limit` characters, and what is no Unicode text or holds a NUL."""
    if len(text) > limit:
        raise Refused(f"The {field} has {len(text):,} characters; the limit is {limit:,}.", field=field)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused(f"The {field} holds a lone surrogate, which is no Unicode text.", field=field) from None
    if "\x00" in text:
        raise Refused(f"The {field} holds a NUL character; remove it.", field=field)


def shorten(text: str, limit: int = 300) -> str:
    """`text` cut to `limit` characters: what quotes an input must not be as long as the input."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"

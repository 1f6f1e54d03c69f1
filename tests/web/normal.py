"""A fragment as a list of tokens that two renderings can be compared by: what is a person's own, what the clock alone
changes, and what is only said of the past is left out."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"input", "br", "img", "hr", "meta", "link"}
DROPPED_CLASSES = {"since", "as-now", "tools-then", "alike-tag"}
# What a past view says of the same things in its own words, or leaves out.
DROPPED_IDS = {"panel-moment", "recovering", "weather", "job-action"}


class _Normaliser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tokens: list[str] = []
        self._dropping = 0  # depth within what is left out

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if self._dropping or _is_dropped(tag, named):
            self._dropping += tag not in VOID
            return
        if "has-alike" in (named.get("class") or ""):  # of the desk, which is the present's
            attrs = [(name, (value or "").replace(" has-alike", "")) for name, value in attrs]
        shown = sorted(f'{name}="{_address(value or "")}"' for name, value in attrs if name != "title")
        self.tokens.append(f"<{tag} {' '.join(shown)}>")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self._dropping:
            self.handle_starttag(tag, attrs)
            self._dropping = 0

    def handle_endtag(self, tag: str) -> None:
        if self._dropping:
            self._dropping -= 1
        elif tag not in VOID:
            self.tokens.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split()).replace("Nothing stood here.", "Nothing stands here.")
        if text and not self._dropping:
            self.tokens.append(text)


def _is_dropped(tag: str, attrs: dict[str, str | None]) -> bool:
    classes = set((attrs.get("class") or "").split())
    return (
        tag == "time"
        or "data-personal" in attrs
        or bool(classes & DROPPED_CLASSES)
        or attrs.get("id") in DROPPED_IDS
    )


def _address(value: str) -> str:
    """The moment that a link takes along is no difference."""
    cut = value.split("cycle=")[0] if value.startswith("/jobs/") else value
    return cut.rstrip("?&")


def normal(html: str) -> list[str]:
    """The tokens of a fragment."""
    reader = _Normaliser()
    reader.feed(html)
    reader.close()
    return reader.tokens


def differences(one: str, other: str) -> list[str]:
    """The first place where two fragments differ, with what is around it; empty if they are equal."""
    a, b = normal(one), normal(other)
    if a == b:
        return []
    place = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    around = slice(max(0, place - 6), place + 10)
    return ["then: " + " ".join(a[around]), "told: " + " ".join(b[around])]

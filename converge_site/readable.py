"""What no browser sends and no page can read is refused here, once, before any page sees it.

PostgreSQL stores no NUL and SQLite does; a foreign charset can smuggle in half characters that neither stores.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import Any

from django.core.exceptions import BadRequest
from django.http import HttpRequest, QueryDict
from django.http.request import UnreadablePostError
from django.utils.deprecation import MiddlewareMixin

NUL = "\0"
CHARSETS = ("utf-8", "ascii")


class UnreadableQuery(ValueError):
    """A query string that holds a NUL, or more fields than a form of ours has."""


def read_query(text: str) -> QueryDict:
    """A query string's fields. Raises UnreadableQuery."""
    try:
        query = QueryDict(text)
    except Exception as error:
        # TooManyFieldsSent is no ValueError; whatever else fails here, the text came from outside.
        raise UnreadableQuery(str(error)) from error
    if holds_nul(query):
        raise UnreadableQuery("it holds a NUL")
    return query


def holds_nul(fields: QueryDict) -> bool:
    """Whether a name or a text holds a NUL."""
    return any(NUL in text for name, texts in fields.lists() for text in (name, *texts))


class ReadableRequests(MiddlewareMixin):
    """Middleware: answers 400 to a NUL in the path, the query or a form, and to forms that are not UTF-8."""

    def process_request(self, request: HttpRequest) -> None:
        """Looks at what the frame around every view reads: path, charset and cookies."""
        if NUL in request.path_info:
            raise BadRequest("The path holds a NUL.")
        if request.encoding is not None and codecs.lookup(request.encoding).name not in CHARSETS:
            request.encoding = "utf-8"  # the page that says so reads the request, too
            raise BadRequest("Forms are read as UTF-8 only.")
        # A quoted cookie can spell a NUL. None of ours does: it counts as not sent.
        for name in [name for name, text in request.COOKIES.items() if NUL in name + text]:
            del request.COOKIES[name]

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]
    ) -> None:
        """Looks at the fields, once it is known who asks: the page that refuses them says it too."""
        try:
            unreadable = holds_nul(request.GET) or holds_nul(request.POST)
        except UnreadablePostError:
            return  # the sender is gone; the token's check, which comes next, deals with that
        if unreadable:
            raise BadRequest("A field holds a NUL.")

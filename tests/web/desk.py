"""What tests of the conflict desk do: two jobs that ask the same questions, and the forms on their cards."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from runtime.models import Conflict, Job
from tests.web import cast
from tests.web.test_deciding import choice_of, form_of

HTMX = {"HX-Request": "true"}


@pytest.fixture
def jobs(people: dict[str, User]) -> list[Job]:
    """Two jobs of Otto's on one sample: four open questions of one shape."""
    return [cast.growth_job(people["otto"], title) for title in ("Spring", "Summer")]


def questions() -> list[Conflict]:
    return list(Conflict.objects.filter(status="open", kind="conflict").order_by("id"))


def text_of(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def page(client: Client, conflict: Conflict) -> str:
    return client.get(f"/conflicts/{conflict.pk}/").content.decode()


def ask_alike(client: Client, conflict: Conflict, headers: Any = None, **fields: Any) -> Any:
    form = {**form_of(client, conflict), "choice": "0", "reason": "", **fields}
    form["choice"] = choice_of(conflict, form["choice"])
    return client.post(f"/conflicts/{conflict.pk}/like/", form, headers=headers or {})


def boxes(html: str) -> dict[int, str]:
    """What each box of the list sends by its question, with `*` if ticked and `-` if it cannot be."""
    found = re.findall(r'name="like" value="(\d+):(\w+)"([^>]*)>', html)
    return {
        int(pk): ("*" if " checked" in rest else "") + ("-" if " disabled" in rest else "")
        for pk, _, rest in found
    }


def act(client: Client, conflict: Conflict, name: str, headers: Any = None, **fields: str) -> Any:
    html = client.get(f"/conflicts/{conflict.pk}/").content.decode()
    form = re.search(rf'<form[^>]*action="/conflicts/{conflict.pk}/{name}/".*?</form>', html, re.DOTALL)
    assert form, html
    hidden = dict(re.findall(r'<input type="hidden" name="([a-z]+)" value="([^"]*)"', form.group()))
    return client.post(f"/conflicts/{conflict.pk}/{name}/", {**hidden, **fields}, headers=headers or {})


def along(
    client: Client, conflict: Conflict, others: list[Conflict], headers: Any = None, **fields: Any
) -> Any:
    form = {
        **form_of(client, conflict),
        "choice": choice_of(conflict, "0"),
        "reason": "as always",
        "along": "1",
        "like": [f"{row.pk}:{row.version}" for row in others],
        **fields,
    }
    return client.post(f"/conflicts/{conflict.pk}/decide/", form, headers=headers or {}, follow=not headers)

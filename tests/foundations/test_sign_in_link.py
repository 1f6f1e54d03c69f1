"""The one-time sign-in link: confirmed, used once, short-lived, and only for whoever may run commands."""

import re
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core import signing
from django.core.management import call_command
from django.test import Client

from converge_site import sign_in

pytestmark = pytest.mark.django_db


def make_link(**options: Any) -> str:
    out = StringIO()
    call_command("sign_in_link", stdout=out, **options)
    return out.getvalue().strip()


def path_of(link: str) -> str:
    return re.sub(r"^https?://[^/]+", "", link)


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_link_signs_the_local_admin_in_once() -> None:
    path = path_of(make_link())
    first, second = Client(), Client()
    assert first.get(path).status_code == 200
    assert not is_signed_in(first), "a preview must not use the link up"
    assert first.post(path).status_code == 302
    assert is_signed_in(first)
    assert second.get(path).status_code == 410
    assert second.post(path).status_code == 410
    assert not is_signed_in(second)


def test_admin_is_made_without_a_password_and_with_the_role() -> None:
    make_link()
    admin = get_user_model().objects.get(username="admin")
    assert admin.is_superuser
    assert admin.is_staff
    assert not admin.has_usable_password()
    assert [group.name for group in admin.groups.all()] == ["admin"]


def test_first_use_ends_the_links_made_before_it() -> None:
    older, newer = path_of(make_link()), path_of(make_link())
    Client().post(newer)
    assert Client().get(older).status_code == 410


def test_link_of_last_hour_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    path = path_of(make_link())
    monkeypatch.setattr(sign_in, "LINK_LASTS_SECONDS", -1)
    assert Client().get(path).status_code == 410


def test_forged_link_is_dead() -> None:
    make_link()
    user = get_user_model().objects.get(username="admin")
    for token in (
        "nonsense",
        signing.dumps({"user": user.pk, "state": "x"}),
        sign_in.make_token(user)[:-1] + "-",
    ):
        assert Client().post(f"/sign-in/{token}/").status_code == 410


def test_one_of_two_simultaneous_uses_wins() -> None:
    make_link()
    user = get_user_model().objects.get(username="admin")
    assert [sign_in._use_up(user, user.last_login) for _ in range(2)] == [True, False]


def test_no_link_is_printed_once_an_admin_has_a_password() -> None:
    assert make_link(if_needed=True)
    admin = get_user_model().objects.get(username="admin")
    admin.set_password("a long enough one")
    admin.save()
    assert make_link(if_needed=True) == ""
    assert make_link(base_url="http://127.0.0.1:9000").startswith("http://127.0.0.1:9000/sign-in/")


def test_confirmation_needs_a_csrf_token() -> None:
    path = path_of(make_link())
    assert Client(enforce_csrf_checks=True).post(path).status_code == 403

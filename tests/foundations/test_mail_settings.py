"""Where letters go is read from one URL, which is refused aloud where it makes no sense, and never repeated."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from converge_site.mail_server import MailServer, read_mail_server, read_sender

SMTP = "django.core.mail.backends.smtp.EmailBackend"


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("", MailServer()),
        ("smtp://mail.example.org", MailServer(SMTP, host="mail.example.org", port=25)),
        ("smtp://mail.example.org:2525/", MailServer(SMTP, host="mail.example.org", port=2525)),
        (
            "smtp://me%40home:p%40ss%2Fw%3A@mail.example.org",
            MailServer(
                SMTP, host="mail.example.org", port=587, user="me@home", password="p@ss/w:", starttls=True
            ),
        ),
        (
            "smtps://me:secret@[::1]",
            MailServer(SMTP, host="::1", port=465, user="me", password="secret", tls=True),
        ),
        (
            "file:///tmp/my%20mails",
            MailServer("django.core.mail.backends.filebased.EmailBackend", directory="/tmp/my mails"),
        ),
        ("console://", MailServer("django.core.mail.backends.console.EmailBackend")),
    ],
)
def test_a_url_says_where_letters_go(url: str, server: MailServer) -> None:
    assert read_mail_server(url) == server
    assert "secret" not in repr(read_mail_server(url))


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.org",
        "smtp:mail.example.org",
        "smtp://",
        "smtp://me:secret@",
        "smtp://me@mail.example.org",
        "smtp://:secret@mail.example.org",
        "smtp://me:secret@mail.example.org:many",
        "smtp://me:secret@mail.example.org:70000",
        "smtp://me:secret@mail.example.org/path",
        "smtp://me:secret@mail.example.org?tls=no",
        "smtp://me:secret@mail.example.org%0aBcc",
        "smtp://me:sec%0dret@mail.example.org",
        "smtp://[::1",
        "file://tmp/mails",
        "file:///",
        "file:mails",
        "console://here",
        "https://secret@example.org",
    ],
)
def test_rubbish_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as refused:
        read_mail_server(url)
    assert "secret" not in str(refused.value)
    assert "example.org:" not in str(refused.value)


@pytest.mark.parametrize(
    "sender", ["", "converge", "a@b\nBcc: c@example.org", "Converge <converge@example.org>"]
)
def test_a_sender_is_an_address(sender: str) -> None:
    with pytest.raises(ValueError, match="an address like"):
        read_sender(sender)


SHOW = (
    "from converge_site import settings as s; print(s.CONVERGE_SENDS_EMAIL, s.DEFAULT_FROM_EMAIL, s.EMAIL_HOST,"
    " s.ALLOWED_HOSTS[-1], *s.CONVERGE_ORIGINS[:1])"
)


def read_settings(home: Path, **given: str) -> subprocess.CompletedProcess[str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("CONVERGE_", "DJANGO_"))}
    return subprocess.run(
        [sys.executable, "-c", SHOW],
        cwd=settings.BASE_DIR,
        env=kept | {"CONVERGE_HOME": str(home)} | given,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "False converge@localhost"),
        ({"CONVERGE_EMAIL_URL": ""}, "False converge@localhost"),
        (
            {
                "CONVERGE_EMAIL_URL": "smtp://mail.example.org",
                "CONVERGE_URL": "https://converge.example.org/",
            },
            "True converge@converge.example.org mail.example.org converge.example.org https://converge.example.org",
        ),
        (
            {
                "CONVERGE_EMAIL_URL": "smtp://mail.example.org",
                "CONVERGE_EMAIL_FROM": "desk@example.org",
                "CONVERGE_ORIGINS": "http://one.example.org,https://two.example.org",
                "CONVERGE_URL": "https://two.example.org",
            },
            "True desk@example.org mail.example.org one.example.org https://two.example.org",
        ),
    ],
)
def test_settings_follow_from_what_is_given(tmp_path: Path, given: dict[str, str], told: str) -> None:
    run = read_settings(tmp_path, **given)
    assert " ".join(run.stdout.split()).startswith(told), run.stderr


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"CONVERGE_EMAIL_URL": "smtp://me:secret@mail:x"}, "CONVERGE_EMAIL_URL: it must look like smtp://"),
        ({"CONVERGE_EMAIL_URL": "smtp://mail.example.org"}, "CONVERGE_EMAIL_FROM: it must be an address"),
        ({"CONVERGE_EMAIL_FROM": "Converge"}, "CONVERGE_EMAIL_FROM: it must be an address"),
        ({"CONVERGE_URL": "converge.example.org"}, "CONVERGE_URL must be scheme://host"),
        ({"CONVERGE_URL": "https://me:secret@converge.example.org"}, "CONVERGE_URL must be scheme://host"),
        ({"CONVERGE_URL": "https://converge.example.org/app"}, "CONVERGE_URL must be scheme://host"),
        ({"CONVERGE_URL": "https://[::1"}, "CONVERGE_URL must be scheme://host"),
    ],
)
def test_unusable_settings_are_named_without_secrets(
    tmp_path: Path, given: dict[str, str], said: str
) -> None:
    run = read_settings(tmp_path, **given)
    assert run.returncode != 0
    assert said in run.stderr
    assert "secret" not in run.stderr

"""CONVERGE_EMAIL_URL: through what letters leave, as Django's settings say it.

Read while the settings load, so nothing here may import Django's settings. A URL may hold a password: it is never
repeated, neither in a message nor in a setting.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

BACKENDS = "django.core.mail.backends"
SHAPES = "smtp://user:password@host:587, smtps://user:password@host, file:///directory or console://"


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where letters go. `backend` is Django's; `password` is shown by no repr."""

    backend: str = f"{BACKENDS}.dummy.EmailBackend"
    host: str = ""
    port: int = 25
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    starttls: bool = False
    directory: str | None = None


def read_mail_server(url: str) -> MailServer:
    """What a URL says; "" for no email at all. Raises ValueError with what is wrong, without the URL.

    Over `smtp://`, a name and password are only sent after STARTTLS.
    """
    if not url:
        return MailServer()
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"it must look like {SHAPES}") from None
    if parts.query or parts.fragment or not unquote(url).isprintable() or " " in url:
        raise ValueError(f"it must look like {SHAPES}, and no more")
    if parts.scheme in ("smtp", "smtps"):
        return _smtp(parts, port)
    if parts.scheme == "file":
        return MailServer(f"{BACKENDS}.filebased.EmailBackend", directory=_directory(parts))
    if url in ("console:", "console:/", "console://"):
        return MailServer(f"{BACKENDS}.console.EmailBackend")
    raise ValueError(f"it must look like {SHAPES}")


def _smtp(parts: SplitResult, port: int | None) -> MailServer:
    if not parts.hostname or parts.path not in ("", "/"):
        raise ValueError("it names no mail server, e.g. smtp://mail.example.org")
    if bool(parts.username) != bool(parts.password):
        raise ValueError("a user needs a password, and a password a user: smtp://user:password@host")
    signs_in, is_tls = bool(parts.username), parts.scheme == "smtps"
    return MailServer(
        f"{BACKENDS}.smtp.EmailBackend",
        host=parts.hostname,
        port=port or (465 if is_tls else 587 if signs_in else 25),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=is_tls,
        starttls=signs_in and not is_tls,
    )


def _directory(parts: SplitResult) -> str:
    path = Path(unquote(parts.path))
    if parts.netloc not in ("", "localhost") or not path.is_absolute() or path == Path("/"):
        raise ValueError("a directory is named whole, with three slashes: file:///tmp/mails")
    return str(path)


def read_sender(text: str) -> str:
    """A sender's address, `name@host`. Raises ValueError if it is none."""
    try:
        validate_email(text)
    except ValidationError:
        raise ValueError(f"it must be an address like converge@example.org, not {text[:80]!r}") from None
    return text

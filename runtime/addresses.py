"""Where people reach this installation, for whoever prints a link and has no request at hand."""

from __future__ import annotations

import re

from django.conf import settings

_WRITTEN = re.compile(r"https?://[^\s/]+")


def site_address() -> str:
    """The site's address without a slash at its end: the public one, else that of the `up` that holds this home."""
    if settings.CONVERGE_ORIGINS:
        return str(settings.CONVERGE_ORIGINS[0])
    try:
        # `up --port` serves elsewhere than the settings of this process say, and writes down where.
        written = _WRITTEN.search((settings.CONVERGE_HOME / "up.lock").read_text())
    except (OSError, UnicodeDecodeError):
        written = None
    return written[0] if written else f"http://127.0.0.1:{settings.CONVERGE_PORT}"


def job_address(job_id: int) -> str:
    """The permanent address of a job's page."""
    return f"{site_address()}/jobs/{job_id}/"


def conflict_address(conflict_id: int) -> str:
    """The permanent address of a question to people."""
    return f"{site_address()}/conflicts/{conflict_id}/"


def notices_address() -> str:
    """Where people read what they were told, and say how they want to be told."""
    return f"{site_address()}/notices/"

"""Whether the person behind a socket may still look: asked when it opens and again while it is open."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace

from django.conf import settings
from django.contrib.auth import get_user

from runtime.actions.permissions import may


def is_still_allowed(session_key: str) -> bool:
    """Reads session and person afresh: signed out, switched off, or with a new password counts as no."""
    store = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = get_user(SimpleNamespace(session=store))  # type: ignore[arg-type]
    if not user.is_authenticated or not user.is_active:
        return False
    return bool(may(user, "view").allowed)

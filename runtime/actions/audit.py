"""Every act is recorded: who, when, what, why (D9.3)."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from runtime.models import AuditRecord

Person = AbstractBaseUser | AnonymousUser


def name_of(user: Person | None) -> str:
    """The name acts are recorded under."""
    return user.get_username() if user is not None else "system"


def record_act(user: Person | None, act: str, target: str, reason: str = "", **detail: Any) -> AuditRecord:
    """Writes one audit record. Call it in the transaction of the act itself."""
    return AuditRecord.objects.create(
        who_id=getattr(user, "pk", None),
        who_name=name_of(user),
        act=act,
        target=target[:300],
        detail=detail,
        reason=reason,
    )

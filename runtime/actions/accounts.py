"""The account under which commands act when nobody names one."""

from __future__ import annotations

from django.contrib.auth.models import Group, User
from django.db import transaction

from runtime.actions.audit import record_act
from runtime.actions.refusals import Refused

LOCAL = "local"


def find_account(username: str) -> User:
    """The account of that name. Raises Refused(code="gone") if there is none."""
    user = User.objects.filter(username=username).first()
    if user is None:
        raise Refused(f"There is no account {username!r}; an admin can create it.", field="as", code="gone")
    return user


def prepare_local_account() -> User:
    """The account for commands on this machine: an operator, no superuser, with no password to sign in with."""
    user = User.objects.filter(username=LOCAL).first()
    if user is not None:
        return user
    with transaction.atomic():
        user, created = User.objects.get_or_create(username=LOCAL)
        if created:
            user.set_unusable_password()
            user.save(update_fields=["password"])
            user.groups.add(Group.objects.get_or_create(name="operator")[0])
            record_act(
                None, "create_account", f"user:{LOCAL}", "for commands on this machine", groups=["operator"]
            )
    return user

"""The three people, and a pack to configure."""

from __future__ import annotations

from django.contrib.auth.models import Group, User

from runtime.actions.sync_packs import sync_packs
from runtime.models import Agent, GovernanceRule, Pack


def person(name: str, role: str) -> User:
    """Somebody with a role and the password `pass of <name>`."""
    user = User.objects.create_user(name, password=f"pass of {name}")
    user.groups.add(Group.objects.get_or_create(name=role)[0])
    return user


def growth() -> Pack:
    """The shipped pack, synced."""
    sync_packs()
    return Pack.objects.get(name="growth")


def agent(name: str) -> Agent:
    """An agent of the growth pack."""
    return Agent.objects.get(pack__name="growth", name=name)


def rule(name: str) -> GovernanceRule:
    """A rule of the growth pack."""
    return GovernanceRule.objects.get(pack__name="growth", name=name)

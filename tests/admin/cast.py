"""The three people, and a pack to configure."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, User

from runtime.actions.agents import add_agent
from runtime.actions.rules import activate_rule, change_draft, draft_from, draft_rule, retire_rule
from runtime.actions.sync_packs import sync_packs
from runtime.actions.tools import add_tool
from runtime.models import Agent, GovernanceRule, Pack, Tool

LOOKUP: dict[str, Any] = {
    "name": "lookup",
    "kind": "http",
    "shape": "each",
    "over": "channel",
    "reads": ["economics"],
    "writes": ["outlook"],
    "tier": 2,
    "config": {"tool": "finder", "path": "/agents/lookup"},
}


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


def search(ada: User, **settings: Any) -> Tool:
    """An http tool that an admin made."""
    return add_tool(ada, {"name": "finder", "url": "https://api.example.org/v1", **settings})


def lookup(ada: User, growth: Pack, **settings: Any) -> Agent:
    """An http agent that an admin made, which calls that tool."""
    return add_agent(ada, growth.pk, {**LOOKUP, **settings})


def add_rule(ada: User, pack: Pack, settings: dict[str, Any]) -> GovernanceRule:
    """A rule that an admin drafted and activated."""
    draft = draft_rule(ada, pack.pk, settings, "a test")
    return activate_rule(ada, draft.pk, "a test", version=1)


def follow(ada: User, old: GovernanceRule, changes: dict[str, Any]) -> GovernanceRule:
    """An active rule that took the place of another one."""
    draft = draft_from(ada, old.pk, "a test")
    changed = change_draft(ada, draft.pk, changes, "a test")
    return activate_rule(ada, draft.pk, "a test", version=changed.version, retires=old.pk)


def retire(ada: User, old: GovernanceRule) -> GovernanceRule:
    """The rule, retired."""
    return retire_rule(ada, old.pk, "a test", version=old.version)

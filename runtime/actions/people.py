"""People and groups: who may sign in, and in which role. Each act is checked, written and audited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Q

from runtime.actions.audit import Person, record_act
from runtime.actions.permissions import ROLES, require, role_of
from runtime.actions.refusals import Refused
from runtime.engine import PackSpec
from runtime.models import GovernanceRule, JobInput, RuleState
from runtime.models.job import ACTIVE, ENDED, JobStatus

ASKING = ("approval", "operator")  # the kinds of rules that ask people
UNDER_WAY = (*ACTIVE, JobStatus.WAITING, JobStatus.RECOVERING)
PERSON_SETTINGS = ("username", "first_name", "last_name", "email", "is_active")


@transaction.atomic
def add_person(
    by: Person,
    username: str,
    password: str | None,
    groups: Iterable[Group] = (),
    reason: str = "",
    **names: str,
) -> User:
    """Add somebody who may sign in; without a password only with a link. Raises Refused."""
    require(by, "configure")
    _check_username(username)
    if User.objects.filter(username=username).exists():
        raise Refused(f"There is a person named {username!r} already.", field="username")
    person = User.objects.create_user(username=username, password=password, **names)
    person.groups.set(groups)
    record_act(by, "add_person", f"person:{username}", reason, groups=_group_names(person))
    return person


@transaction.atomic
def change_person(
    by: Person,
    person_id: int,
    changes: Mapping[str, Any],
    groups: Iterable[Group] | None = None,
    reason: str = "",
) -> User:
    """Set some of `PERSON_SETTINGS`, and the groups if given. Raises Refused if nobody, or not oneself,
    would be admin afterwards."""
    require(by, "configure")
    person = User.objects.select_for_update().filter(pk=person_id).first()
    if person is None:
        raise Refused("This person is not there any more; reload the page.", code="gone")
    _check_username(str(changes.get("username", "")))
    was_admin = role_of(person) == "admin"
    before = {name: getattr(person, name) for name in PERSON_SETTINGS if name in changes}
    for name in before:
        setattr(person, name, changes[name])
    person.save(update_fields=list(before))
    told: dict[str, Any] = {
        name: {"from": value, "to": changes[name]} for name, value in before.items() if value != changes[name]
    }
    if groups is not None:
        had = _group_names(person)
        person.groups.set(groups)
        if had != _group_names(person):
            told["groups"] = {"from": had, "to": _group_names(person)}
    if was_admin and role_of(person) != "admin":
        _check_admin_is_left(by, person)
    if told:
        record_act(by, "change_person", f"person:{person.username}", reason, changes=told)
    return person


@transaction.atomic
def set_password(by: Person, person: User, password: str | None, reason: str = "") -> User:
    """Give `person` a new password; None means that no password signs them in. The password is not
    recorded."""
    require(by, "configure")
    if password is None:
        person.set_unusable_password()
    else:
        person.set_password(password)
    person.save(update_fields=["password"])
    record_act(by, "set_password", f"person:{person.username}", reason, usable=password is not None)
    return person


@transaction.atomic
def add_group(by: Person, name: str, reason: str = "") -> Group:
    """Add a group, which approval rules may name. Raises Refused."""
    require(by, "configure")
    group = Group.objects.create(name=_free_name(name, None))
    record_act(by, "add_group", f"group:{group.name}", reason)
    return group


@transaction.atomic
def rename_group(by: Person, group_id: int, name: str, reason: str = "") -> Group:
    """Rename a group that is no role and that no rule, and no job that may still ask it, names. Raises Refused."""
    require(by, "configure")
    group = _free_group(group_id)
    before = group.name
    if name != before:
        group.name = _free_name(name, group)
        group.save(update_fields=["name"])
        record_act(by, "rename_group", f"group:{before}", reason, name=group.name)
    return group


@transaction.atomic
def delete_group(by: Person, group_id: int, reason: str = "") -> None:
    """Delete a group that is no role and that no rule, and no job that may still ask it, names. Raises Refused."""
    require(by, "configure")
    group = _free_group(group_id)
    members = list(group.user_set.order_by("username").values_list("username", flat=True))
    record_act(by, "delete_group", f"group:{group.name}", reason, members=members)
    group.delete()


def _check_username(username: str) -> None:
    if username.startswith("@"):
        raise Refused("Names that begin with @ are the engine's own; choose another.", field="username")


def _check_admin_is_left(by: Person, person: User) -> None:
    if by.pk == person.pk:
        raise Refused("You cannot take the admin role from yourself; ask another admin.", field="groups")
    others = User.objects.filter(is_active=True).exclude(pk=person.pk)
    if not any(role_of(other) == "admin" for other in others):
        raise Refused("Somebody must stay admin; give the role to another person first.", field="groups")


def _free_group(group_id: int) -> Group:
    """The group, if nothing hangs on its name."""
    group = Group.objects.select_for_update().filter(pk=group_id).first()
    if group is None:
        raise Refused("This group is not there any more; reload the page.", code="gone")
    if group.name in ROLES:
        raise Refused(f"{group.name!r} is one of the three roles and stays as it is.", field="name")
    asking = GovernanceRule.objects.filter(kind__in=ASKING).select_related("pack")
    rules = asking.exclude(state=RuleState.RETIRED)  # which no job freezes and nobody can change any more
    naming = [
        f"{rule.pack.name}/{rule.name}" for rule in rules if group.name in rule.params.get("groups", ())
    ]
    if naming:
        raise Refused(f"The rule {naming[0]} asks this group; retire or change the rule first.", field="name")
    _check_no_job_asks(group)
    return group


def _check_no_job_asks(group: Group) -> None:
    """Raises Refused while a job may still ask the group: jobs keep the rules they froze, and nobody else may answer.

    Reads what is frozen of those jobs that are under way or have open questions and have the name in it somewhere.
    """
    named = orjson.dumps(group.name).decode()
    may_ask = Q(job__status__in=UNDER_WAY) | Q(job__conflicts_open__gt=0) | Q(job__holds_open__gt=0)
    frozen = JobInput.objects.filter(may_ask, spec__contains=named).exclude(job__status__in=ENDED)
    rule_in: dict[str, str] = {}  # by what was frozen: most jobs of a pack froze the same
    asking: dict[int, str] = {}
    for job_id, spec in frozen.order_by("job_id").values_list("job_id", "spec").iterator(chunk_size=100):
        if spec not in rule_in:
            rule_in[spec] = _rule_asking(group.name, spec)
        asking[job_id] = rule_in[spec]
    first, rule = next(((at, name) for at, name in asking.items() if name), (0, ""))
    if rule:
        more = sum(map(bool, asking.values())) - 1
        also = f" and {more:,} more" if more else ""
        raise Refused(
            f"Job #{first}{also} may still ask this group, by the rule “{rule}” as it was when it was submitted, and "
            "nobody else could answer. Answer what is asked and let it end, or cancel it; then this can be done.",
            field="name",
        )


def _rule_asking(group: str, spec: str) -> str:
    """The first rule of a frozen pack that asks a group; "" for none."""
    rules = PackSpec.from_json(orjson.loads(spec)).rules
    asking = (r for r in rules if r.enabled and r.kind in ASKING and group in (r.params.get("groups") or ()))
    return next((rule.name for rule in asking), "")


def _free_name(name: str, group: Group | None) -> str:
    name = name.strip()
    if not name or len(name) > 150:
        raise Refused("Give the group a name of 1 to 150 characters.", field="name")
    taken = Group.objects.filter(name=name).first()
    if taken is not None and taken != group:
        raise Refused(f"There is a group {name!r} already.", field="name")
    return name


def _group_names(person: User) -> list[str]:
    return sorted(person.groups.values_list("name", flat=True))

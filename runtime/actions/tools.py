"""What people may do with tools: an admin adds, changes and deletes them, an operator trips and resets a breaker.

Tools are not frozen with a job: a change is for every call from then on. Each act is checked and audited; a secret is
never among what is written, only the name of the environment variable that holds it.
"""

from __future__ import annotations

from dataclasses import replace

from django.db import transaction
from django.db.models import Q

from runtime.actions.audit import Person, name_of, record_act
from runtime.actions.changing import Changes, lock_row, record_changes, refuse_unknown, write_changes
from runtime.actions.pack_specs import TOOL_FIELDS, Fields, tool_fields, tool_spec_from_row
from runtime.actions.permissions import require
from runtime.actions.refusals import Refused
from runtime.actions.texts import check_text, shorten
from runtime.actions.tool_checks import check_no_key, check_tool
from runtime.agents import all_packs
from runtime.models import Agent, Job, JobStatus, Tool
from runtime.queue_state import queue_state
from runtime.recovery import wake_waiting
from runtime.tools.gate import shared_gate
from runtime.tools.spec import ToolSpec

TOOL_SETTINGS = ("title", "description", *(name for name in TOOL_FIELDS if name != "kind"))
NEW_TOOL_SETTINGS = ("name", "kind", *TOOL_SETTINGS)
MAX_REASON = 2_000

UNSETTLED = (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.WAITING, JobStatus.RECOVERING)


@transaction.atomic
def add_tool(user: Person, settings: Changes, reason: str = "") -> Tool:
    """Add a tool with some of `NEW_TOOL_SETTINGS` (name and url at least). Raises Refused."""
    spec = check_new_tool(user, settings)
    said = {"title": settings.get("title", ""), "description": settings.get("description", "")}
    columns = {"name": spec.name, **said, **tool_fields(spec)}
    tool = Tool.objects.create(origin="admin", **columns)
    record_act(user, "add_tool", f"tool:{tool.name}", reason, settings=columns)
    return tool


def check_new_tool(user: Person, settings: Changes) -> ToolSpec:
    """The tool that `add_tool` would add. Raises Refused, with the field at fault."""
    require(user, "configure")
    refuse_unknown(settings, NEW_TOOL_SETTINGS)
    spec = _with(ToolSpec(name=""), settings)
    check_tool(spec, settings.get("title", ""), settings.get("description", ""))
    if Tool.objects.filter(name=spec.name).exists():
        raise Refused(f"There is a tool {spec.name!r} already; choose another name.", field="name")
    return spec


@transaction.atomic
def change_tool(user: Person, tool_id: int, changes: Changes, reason: str = "") -> Tool:
    """Set some of `TOOL_SETTINGS`. Raises Refused."""
    tool = lock_row(Tool, tool_id, "tool")
    check_tool_change(user, tool, changes)
    before = write_changes(tool, changes, TOOL_SETTINGS, _said_by_code(tool))
    record_changes(user, "change_tool", f"tool:{tool.name}", reason, tool, before)
    return tool


def check_tool_change(user: Person, tool: Tool, changes: Changes) -> None:
    """Raises Refused, with the field at fault, unless `change_tool` would take the values."""
    require(user, "configure")
    refuse_unknown(changes, TOOL_SETTINGS)
    said = {"title": tool.title, "description": tool.description, **changes}
    check_tool(_with(tool_spec_from_row(tool), changes), said["title"], said["description"])


@transaction.atomic
def delete_tool(user: Person, tool_id: int, reason: str = "") -> None:
    """Delete a tool that an admin added and nobody uses. Raises Refused, naming who does."""
    require(user, "configure")
    tool = lock_row(Tool, tool_id, "tool")
    if tool.origin == "code":
        raise Refused("This tool comes with a pack's code and would come back; disable it instead.")
    users = users_of_tool(tool.name)
    if users:
        raise Refused(
            f"{tool.name} is in use by {', '.join(users)}. Change or disable the agents, let the jobs end, or disable "
            "the tool instead."
        )
    columns = {"name": tool.name, "title": tool.title, **tool_fields(tool_spec_from_row(tool))}
    record_act(user, "delete_tool", f"tool:{tool.name}", reason, settings=columns)
    tool.delete()


def users_of_tool(name: str) -> list[str]:
    """Who would miss the tool: enabled agents that name it, and how many jobs under way froze such an agent."""
    agents = Agent.objects.filter(enabled=True, config__tool=name).select_related("pack")
    found = [f"the agent {agent.pack.name}/{agent.name}" for agent in agents]
    named = Q(input__spec__contains=f'"tool":"{name}"') | Q(waits_on__contains=f" {name} ")
    jobs = Job.objects.filter(named, status__in=UNSETTLED).order_by("id")
    count, first = jobs.count(), jobs.values_list("pk", flat=True).first()
    if count:
        found.append(f"job {first}" if count == 1 else f"{count:,} jobs under way (job {first} is one)")
    return found


def trip_tool(user: Person, name: str, reason: str) -> None:
    """Open a tool's breaker by hand, for all runtimes, until somebody resets it. Raises Refused."""
    _check_operating(user, name, reason)
    shared_gate().trip(name, name_of(user))
    _check_done(bool(shared_gate().state(name).tripped_by))
    record_act(user, "trip_tool", f"tool:{name}", reason.strip())


def reset_tool(user: Person, name: str, reason: str) -> None:
    """Close a tool's breaker, forget its failures and pauses, and wake the jobs that wait for it. Raises Refused."""
    _check_operating(user, name, reason)
    shared_gate().reset(name)
    _check_done(queue_state().reachable)
    record_act(user, "reset_tool", f"tool:{name}", reason.strip())
    wake_waiting(name)


def _check_operating(user: Person, name: str, reason: str) -> None:
    require(user, "operate_tool")
    check_text("reason", reason, MAX_REASON)
    check_no_key("reason", reason)
    if not Tool.objects.filter(name=name).exists():
        raise Refused(f"There is no tool {shorten(name, 60)!r} any more; reload the page.", code="gone")


def _check_done(done: bool) -> None:
    """The gate goes on without Redis, in silence. Here people are told."""
    if not done:
        raise Refused(
            "Redis does not answer, and the breaker is kept there: nothing was changed. Try again soon."
        )


def _with(spec: ToolSpec, settings: Changes) -> ToolSpec:
    given = {name: value for name, value in settings.items() if name not in ("title", "description")}
    if "allow" in given:
        given["allow"] = tuple(given["allow"])
    return replace(spec, **given)


def _said_by_code(tool: Tool) -> Fields | None:
    """The columns as the first pack that declares the tool says them."""
    if tool.origin != "code":
        return None
    declared = next((pack.tools[tool.name] for pack in all_packs() if tool.name in pack.tools), None)
    if declared is None:
        return None
    return {"title": declared.title, "description": declared.description, **tool_fields(declared.spec)}

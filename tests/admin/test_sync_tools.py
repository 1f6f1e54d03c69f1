"""Tools that packs declare in code become rows; what an admin set or made stays."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from runtime.actions.agents import add_agent
from runtime.actions.pack_specs import tool_spec_from_row
from runtime.actions.sync_packs import SyncReport, sync_packs
from runtime.actions.tools import add_tool, change_tool
from runtime.agents import Pack
from runtime.models import Agent, AuditRecord, Tool
from runtime.models import Pack as PackRow

pytestmark = pytest.mark.django_db

ADDRESS = "https://api.example.org"


def pets(name: str = "pets", *, tools: bool = True, calls: str = "", **settings: Any) -> Pack:
    """A small pack with a tool, as it may look in one release or the next."""
    pack = Pack(name)
    pack.key("pet", seed=True)
    pack.key("choice")
    if tools or calls:
        pack.tool("finder", **{"kind": "http", "url": ADDRESS, **settings})
    pack.agent(reads=["pet"], writes=["choice"], name="choose")(lambda view: None)
    if calls:
        pack.http("seek", tool=calls, reads=["pet"], writes=["choice"])
    if not tools:
        pack.tools.clear()
    return pack


def sync(*packs: Pack) -> SyncReport:
    return sync_packs(packs, [])


def finder() -> Tool:
    return Tool.objects.get(name="finder")


def test_a_declared_tool_becomes_a_row_and_stays_as_it_is() -> None:
    pack = pets(timeout=3, title="Finder", allow=["localhost"])
    assert sync(pack).created == ["tool finder", "pack pets (1 agents, 0 rules)"]
    row = finder()
    assert (row.origin, row.title, row.allow) == ("code", "Finder", ["localhost"])
    assert tool_spec_from_row(row) == pack.tools["finder"].spec
    assert not sync(pack).lines()
    record = AuditRecord.objects.get(target="tools")
    assert (record.act, record.who_name, record.detail["created"]) == (
        "sync_packs",
        "system",
        ["tool finder"],
    )


def test_new_code_is_written_and_told_field_by_field() -> None:
    sync(pets())
    assert sync(pets(timeout=3.0, attempts=1)).updated == ["tool finder: timeout, attempts"]
    assert (finder().timeout, finder().attempts) == (3.0, 1)


def test_what_an_admin_set_is_left_alone_and_the_rest_follows(ada: User) -> None:
    sync(pets())
    change_tool(ada, finder().pk, {"timeout": 5.0, "enabled": False})
    assert finder().changed_fields == ["enabled", "timeout"]
    report = sync(pets(timeout=3.0, attempts=1))
    assert (finder().timeout, finder().attempts, finder().enabled) == (5.0, 1, False)
    assert "tool finder: timeout is 5.0 here and 3.0 in the code; an admin set it" in report.left_alone
    assert report.updated == ["tool finder: attempts"]


def test_setting_a_field_back_gives_it_back_to_the_code(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    sync(pets())
    monkeypatch.setattr("runtime.actions.tools.all_packs", lambda: [pets()])
    change_tool(ada, finder().pk, {"timeout": 5.0})
    change_tool(ada, finder().pk, {"timeout": 10.0})
    assert finder().changed_fields == []


def test_what_the_code_dropped_is_disabled_and_comes_back_with_it() -> None:
    sync(pets())
    assert sync(pets(tools=False)).disabled == ["tool finder: no code declares it any more"]
    assert not finder().enabled
    assert not sync(pets(tools=False)).lines()
    assert sync(pets()).updated == ["tool finder: enabled"]
    assert finder().enabled


def test_a_tool_of_an_admin_is_never_touched(ada: User) -> None:
    add_tool(ada, {"name": "finder", "url": "https://mine.example"})
    add_tool(ada, {"name": "other", "url": "https://mine.example"})
    report = sync(pets())
    assert report.left_alone == ["tool finder: an admin made one of this name; the code's is not used"]
    assert finder().url == "https://mine.example"
    assert not sync(pets(tools=False)).disabled
    assert Tool.objects.filter(enabled=True).count() == 2


def test_two_packs_may_declare_one_tool_alike() -> None:
    assert not sync(pets("a"), pets("b")).problems
    assert finder().enabled


def test_of_two_packs_that_differ_the_first_one_is_followed() -> None:
    report = sync(pets("a"), pets("b", timeout=3.0))
    assert report.problems == [
        "tool finder is declared by the packs a and b with different settings; those of a are used"
    ]
    assert finder().timeout == 10.0


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"secret_env": "CONVERGE_SECRET_KEY"}, "belongs to this service"),
        ({"url": "https://a:b@h/"}, "not kept"),
    ],
)
def test_a_declared_tool_that_cannot_be_is_a_problem_and_no_row(said: dict[str, Any], words: str) -> None:
    pack = pets(tools=False)
    spec = {"name": "finder", "kind": "http", "url": ADDRESS, **said}
    pack.tools["finder"] = declared(**spec)
    report = sync(pack)
    assert any("tool finder of pack pets" in line and words in line for line in report.problems), (
        report.problems
    )
    assert not Tool.objects.exists()


def declared(**spec: Any) -> Any:
    """A declaration past the checks of `pack.tool`."""
    from runtime.agents import PackTool
    from runtime.tools.spec import ToolSpec

    return PackTool(ToolSpec(**spec), "", "")


def test_an_agent_whose_tool_is_missing_or_of_another_kind_is_a_problem(ada: User) -> None:
    report = sync(pets(calls="finder", tools=False))
    missing = "agent pets/seek calls the tool finder, which is not there; an admin can add it"
    assert report.problems == [missing]
    add_tool(ada, {"name": "finder", "kind": "mcp", "url": ADDRESS})
    assert sync(pets(calls="finder")).problems == [
        "agent pets/seek calls the tool finder, which is of kind mcp"
    ]
    Tool.objects.all().delete()
    assert not sync(pets(calls="finder")).problems


def test_an_agent_of_an_admin_is_never_touched(ada: User) -> None:
    sync(pets())
    pack = PackRow.objects.get()
    mine = {"kind": "http", "reads": ["pet"], "writes": ["choice"], "config": {"tool": "finder"}}
    add_agent(ada, pack.pk, {"name": "mine", **mine})
    add_agent(ada, pack.pk, {"name": "seek", **mine, "config": {"tool": "finder", "path": "/mine"}})
    report = sync(pets(calls="finder"))
    assert report.left_alone == ["agent pets/seek: an admin made one of this name; the code's is not used"]
    assert Agent.objects.get(name="seek").config["path"] == "/mine"
    assert not sync(pets()).disabled
    assert Agent.objects.filter(origin="admin", enabled=True).count() == 2

"""The admin's pages for tools, their calls, and agents that call them: real requests, role by role."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from runtime.models import Agent, AuditRecord, Job, Pack, Tool, ToolCall
from tests.admin.cast import agent, lookup, person
from tests.admin.pages import errors, fields, page, save

PLANTED = "sk-proj-4f9a8b7c6d5e4f3a2b1c"


def add_of(name: str) -> str:
    return page(f"runtime_{name}_add")


def change_of(row: Any) -> str:
    return page(f"runtime_{row._meta.model_name}_change", row.pk)


def delete_of(row: Any) -> str:
    return page(f"runtime_{row._meta.model_name}_delete", row.pk)


def seen(response: HttpResponse) -> str:
    return response.content.decode()


def test_a_tool_is_added_changed_and_deleted(browser: Client) -> None:
    given = {"name": "finder", "url": "https://api.example.org", "allow": "localhost:9000, 10.1.0.0/16"}
    response = save(browser, add_of("tool"), **given, secret_env="FINDER_TOKEN")
    assert response.status_code == 302, errors(response)
    tool = Tool.objects.get()
    assert (tool.allow, tool.origin, tool.secret_prefix) == (
        ["localhost:9000", "10.1.0.0/16"],
        "admin",
        "Bearer ",
    )
    response = save(browser, change_of(tool), timeout="2.5", enabled=None, url="{flaky_tools}/x")
    assert response.status_code == 302, errors(response)
    tool.refresh_from_db()
    assert (tool.timeout, tool.enabled, tool.url) == (2.5, False, "{flaky_tools}/x")
    assert browser.post(delete_of(tool), {"post": "yes"}).status_code == 302
    acts = [(r.act, r.who_name, r.reason) for r in AuditRecord.objects.order_by("id")]
    assert acts == [
        ("add_tool", "ada", "a test"),
        ("change_tool", "ada", "a test"),
        ("delete_tool", "ada", "deleted in the admin"),
    ]


def test_saving_a_form_unchanged_changes_nothing(
    browser: Client, ada: User, search: Tool, growth: Pack
) -> None:
    mine = lookup(ada, growth)
    before = AuditRecord.objects.count()
    for row in (search, mine, agent("momentum"), *Tool.objects.filter(origin="code")):
        assert save(browser, change_of(row)).status_code == 302
        row.refresh_from_db()
        assert not row.changed_fields
    assert AuditRecord.objects.count() == before


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_nobody_else_gets_in(client: Client, ada: User, search: Tool, growth: Pack, role: str) -> None:
    mine = lookup(ada, growth)
    client.force_login(person("vera", role))
    before = AuditRecord.objects.count()
    for name in ("tool", "toolcall", "agent"):
        assert client.get(page(f"runtime_{name}_changelist"), follow=True).status_code == 403
    for row in (search, mine):
        assert client.get(change_of(row), follow=True).status_code == 403
        client.post(change_of(row), {"timeout": 1, "why": "x"})
        client.post(delete_of(row), {"post": "yes"})
    for name in ("tool", "agent"):
        client.post(add_of(name), {"name": "other", "url": "https://x.example", "why": "x"})
    assert AuditRecord.objects.count() == before
    assert {row.name for row in Agent.objects.filter(origin="admin")} == {"lookup"}
    assert Tool.objects.filter(origin="admin").count() == 1


def test_a_stranger_signs_in_first(client: Client, search: Tool) -> None:
    assert client.get(change_of(search))["Location"].startswith("/admin/login")
    assert client.post(delete_of(search), {"post": "yes"})["Location"].startswith("/admin/login")
    assert Tool.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"timeout": "0"}, "timeout", "0.1 to 300 seconds"),
        ({"timeout": "nan"}, "timeout", "Enter a number"),
        ({"attempts": "2.5"}, "attempts", "whole number"),
        ({"attempts": "99"}, "attempts", "1 to 10"),
        ({"open_max": "3"}, "open_max", "at least as many"),
        ({"url": "ftp://x"}, "url", "http:// or https://"),
        ({"allow": "localhost, 10.0.0.0/99"}, "allow", "10.0.0.0/99"),
        ({"secret_env": "CONVERGE_DATABASE_URL"}, "secret_env", "belongs to this service itself"),
        ({"secret_header": "Host"}, "secret_header", "set by the service itself"),
        ({"why": ""}, "why", "required"),
        ({"why": f"the key is {PLANTED}"}, "why", "looks like a secret"),
    ],
)
def test_what_is_wrong_with_a_tool_is_said_beside_the_field(
    browser: Client, search: Tool, changes: dict[str, Any], field: str, words: str
) -> None:
    before = AuditRecord.objects.count()
    response = save(browser, change_of(search), **changes)
    assert words in str(errors(response)[field])
    assert AuditRecord.objects.count() == before


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("secret_env", PLANTED),
        ("secret_env", "hunter2"),
        ("secret_env", "hunter2" * 60),
        ("secret_header", PLANTED),
        ("secret_prefix", f"Bearer {PLANTED}"),
        ("secret_prefix", "hunter2 "),
        ("url", "https://ada:hunter2@api.example.org/"),
        ("url", "https://api.example.org/?key=hunter2" + "x" * 600),
        ("allow", "localhost, ada:hunter2@h"),
        ("title", PLANTED),
        ("description", f"It is {PLANTED}"),
        ("model", PLANTED),
        ("why", PLANTED),
        ("name", PLANTED),
    ],
)
@pytest.mark.parametrize("also", [{}, {"why": "", "timeout": "soon"}])
def test_what_may_be_a_secret_is_refused_and_not_shown_again(
    browser: Client, field: str, typed: str, also: dict[str, str]
) -> None:
    response = save(browser, add_of("tool"), **{"name": "finder", "url": "https://h", **also, field: typed})
    assert response.status_code == 200
    assert "was not kept" in str(errors(response)[field])
    assert typed not in seen(response)
    assert "hunter2" not in seen(response)
    assert PLANTED not in seen(response)
    assert not Tool.objects.exists()
    assert not AuditRecord.objects.exists()


def test_whether_the_secret_is_set_is_shown_and_never_what_it_is(
    browser: Client, ada: User, search: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    Tool.objects.update(secret_env="FINDER_TOKEN")
    addresses = (change_of(search), page("runtime_tool_changelist"))
    monkeypatch.delenv("FINDER_TOKEN", raising=False)
    for address in addresses:
        assert "FINDER_TOKEN is not set" in seen(browser.get(address))
    monkeypatch.setenv("FINDER_TOKEN", "correct horse")
    for address in addresses:
        assert "FINDER_TOKEN is set" in seen(browser.get(address))
        assert "correct horse" not in seen(browser.get(address))


def test_a_tool_in_use_is_not_deleted_and_the_page_says_by_whom(
    browser: Client, ada: User, search: Tool, growth: Pack
) -> None:
    lookup(ada, growth)
    response = browser.post(delete_of(search), {"post": "yes"}, follow=True)
    assert "in use by the agent growth/lookup" in seen(response)
    assert Tool.objects.filter(name="finder").exists()


def test_what_comes_from_code_cannot_be_deleted(browser: Client, search: Tool, growth: Pack) -> None:
    Tool.objects.update(origin="code")
    for row in (search, agent("momentum")):
        assert browser.post(delete_of(row), {"post": "yes"}).status_code == 403
        row.refresh_from_db()


def test_a_tool_leads_to_its_own_page(browser: Client, search: Tool) -> None:
    assert 'href="/tools/finder/"' in seen(browser.get(change_of(search)))


def test_an_agent_is_added_changed_and_deleted(browser: Client, search: Tool, growth: Pack) -> None:
    given = {"pack": growth.pk, "name": "lookup", "kind": "http", "shape": "each", "over": "channel"}
    rest = {"reads": "economics", "writes": "outlook", "tier": 2, "config": '{"tool": "finder"}'}
    response = save(browser, add_of("agent"), **given, **rest)
    assert response.status_code == 302, errors(response)
    mine = agent("lookup")
    assert (mine.origin, mine.writes, mine.config) == ("admin", ["outlook"], {"tool": "finder"})
    response = save(
        browser,
        change_of(mine),
        wait=30,
        config='{"tool": "finder", "path": "/x"}',
        reads="economics, company",
    )
    assert response.status_code == 302, errors(response)
    mine = agent("lookup")
    assert (mine.wait, mine.config["path"], mine.reads) == (30.0, "/x", ["economics", "company"])
    shown = seen(browser.get(page("runtime_agent_changelist")))
    assert "made here" in shown
    assert browser.post(delete_of(mine), {"post": "yes"}).status_code == 302
    assert not Agent.objects.filter(name="lookup").exists()
    acts = [record.act for record in AuditRecord.objects.all()[:3]]
    assert acts == ["delete_agent", "change_agent", "add_agent"]


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"name": "momentum"}, "name", "already"),
        ({"kind": "python"}, "kind", "valid choice"),
        ({"config": '{"tool": '}, "config", "line 1, column"),
        ({"config": '{"tool": "ghost"}'}, "config", "no tool"),
        ({"config": '{"tool": "finder", "color": 1}'}, "config", "color"),
        ({"config": "[1]"}, "config", "such as {&quot;tool&quot;"),
        ({"writes": "outlooks"}, "writes", "outlooks"),
        ({"over": ""}, "over", "goes through"),
        ({"wait": -1}, "wait", "2,592,000"),
        ({"tier": 7}, "tier", "tiers 1 to 3"),
        ({"pack": ""}, "pack", "required"),
    ],
)
def test_what_is_wrong_with_an_agent_is_said_beside_the_field(
    browser: Client, search: Tool, growth: Pack, changes: dict[str, Any], field: str, words: str
) -> None:
    given = {"pack": growth.pk, "name": "lookup", "kind": "http", "shape": "each", "over": "channel"}
    rest = {"reads": "economics", "writes": "outlook", "tier": 2, "config": '{"tool": "finder"}'}
    response = save(browser, add_of("agent"), **{**given, **rest, **changes})
    assert words in str(errors(response)[field])
    assert not Agent.objects.filter(origin="admin").exists()


def test_a_key_in_a_configuration_is_not_shown_again(browser: Client, search: Tool, growth: Pack) -> None:
    for path, secret in (
        ("/x?api_key=hunter2", "hunter2"),
        (f"/{PLANTED}", PLANTED),
        ("/\\u0073" + PLANTED[1:], "proj"),
    ):
        config = f'{{"tool": "finder", "path": "{path}"}}'
        response = save(
            browser, add_of("agent"), pack=growth.pk, name="lookup", writes="outlook", config=config
        )
        assert "was not kept" in str(errors(response)["config"])
        assert secret not in seen(response)


def test_a_rule_keeps_an_agent_and_the_page_says_so(
    browser: Client, ada: User, search: Tool, growth: Pack
) -> None:
    mine = lookup(ada, growth)
    growth.rules.create(name="trust", kind="dominance", keys=["outlook"], params={"agents": ["lookup"]})
    response = browser.post(delete_of(mine), {"post": "yes"}, follow=True)
    assert "“trust” names this agent" in seen(response)
    assert agent("lookup")


def test_of_an_agent_from_code_only_some_can_be_set(
    browser: Client, ada: User, search: Tool, growth: Pack
) -> None:
    offered = {"enabled", "tier", "required", "wait", "timeout", "why"}
    assert set(fields(browser.get(change_of(agent("momentum"))))) <= offered
    mine = lookup(ada, growth)
    Agent.objects.filter(pk=mine.pk).update(origin="code")
    form = browser.get(change_of(mine)).context["adminform"].form
    assert set(form.fields) == offered | {"config"}
    sent = {**fields(browser.get(change_of(mine))), "reads": "company", "name": "other", "kind": "llm"}
    assert browser.post(change_of(mine), sent).status_code == 302
    mine.refresh_from_db()
    assert (mine.reads, mine.name, mine.kind) == (["economics"], "lookup", "http")


def test_calls_are_read_and_found_and_never_written(browser: Client, search: Tool, growth: Pack) -> None:
    job = Job.objects.create(pack=growth)
    common = {"job": job, "cycle": 1, "agent": "lookup", "digest": "0" * 64, "started_at": timezone.now()}
    done = {"tool": "finder", "status": "done", "result": '{"a": "<script>alert(1)</script>"}'}
    call = ToolCall.objects.create(number=1, **common, **done)
    ToolCall.objects.create(number=2, tool="writer", status="failed", cls="timeout", **common)
    found = page("runtime_toolcall_changelist")
    for asked, count in (
        ({}, 2),
        ({"tool": "finder"}, 1),
        ({"status__exact": "failed"}, 1),
        ({"cls__exact": "timeout"}, 1),
        ({"q": str(job.pk)}, 2),
        ({"q": "9999"}, 0),
        ({"q": "not a number"}, 0),
    ):
        assert len(browser.get(found, asked).context["cl"].result_list) == count, asked
    shown = seen(browser.get(change_of(call)))
    assert "&lt;script&gt;alert(1)" in shown
    assert "<script>alert(1)" not in shown
    assert f"/jobs/{job.pk}/" in shown
    assert browser.post(change_of(call), {"status": "failed"}).status_code == 403
    assert browser.post(delete_of(call), {"post": "yes"}).status_code == 403
    assert browser.get(add_of("toolcall")).status_code == 403


def test_a_long_result_is_cut(browser: Client, growth: Pack) -> None:
    job = Job.objects.create(pack=growth)
    common = {"job": job, "cycle": 1, "agent": "lookup", "digest": "0" * 64, "started_at": timezone.now()}
    call = ToolCall.objects.create(number=1, tool="finder", status="done", result="x" * 50_000, **common)
    assert "and 30,000 characters more" in seen(browser.get(change_of(call)))

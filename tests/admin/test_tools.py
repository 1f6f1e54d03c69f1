"""What an admin says of a tool is checked, written and audited; a secret is never among it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User

from runtime.actions import Refused
from runtime.actions.agents import change_agent, delete_agent
from runtime.actions.pack_specs import tool_spec_from_row
from runtime.actions.submitting import submit_job
from runtime.actions.tool_checks import LIMITS, NotKept
from runtime.actions.tools import add_tool, change_tool, delete_tool
from runtime.models import AuditRecord, Job, Pack, Tool
from runtime.tools.spec import ToolSpec
from tests.admin.cast import lookup, person

ADDRESS = "https://api.example.org/v1"


def last_record() -> AuditRecord:
    record = AuditRecord.objects.first()
    assert record is not None
    return record


def test_a_tool_is_added_with_what_was_said_and_the_rest_by_default(ada: User) -> None:
    tool = add_tool(
        ada, {"name": "finder", "url": ADDRESS, "title": "Finder", "attempts": 5}, reason="asked for"
    )
    assert tool.origin == "admin"
    assert tool_spec_from_row(Tool.objects.get()) == ToolSpec(name="finder", url=ADDRESS, attempts=5)
    record = last_record()
    assert (record.who, record.act, record.target, record.reason) == (
        ada,
        "add_tool",
        "tool:finder",
        "asked for",
    )
    assert record.detail["settings"]["attempts"] == 5


def test_a_row_and_its_spec_say_the_same(ada: User) -> None:
    settings = {
        "kind": "llm",
        "url": "{flaky_tools}/writer/v1",
        "model": "small",
        "allow": ["10.1.0.0/16", "localhost:9000"],
        "secret_env": "WRITER_TOKEN",
        "price_in": 0.15,
        "enabled": False,
    }
    add_tool(ada, {"name": "writer", **settings})
    wanted = ToolSpec(**{"name": "writer", **settings, "allow": tuple(settings["allow"])})  # type: ignore[arg-type]
    assert tool_spec_from_row(Tool.objects.get()) == wanted


def test_a_change_is_written_and_audited_with_both_values(ada: User, search: Tool) -> None:
    change_tool(ada, search.pk, {"timeout": 2.5, "title": "Finder"}, reason="too slow")
    search.refresh_from_db()
    assert (search.timeout, search.title, search.changed_fields) == (2.5, "Finder", [])
    record = last_record()
    assert (record.act, record.target, record.reason) == ("change_tool", "tool:finder", "too slow")
    assert record.detail["changes"]["timeout"] == {"from": 10.0, "to": 2.5}


def test_a_change_of_nothing_is_no_act(ada: User, search: Tool) -> None:
    before = AuditRecord.objects.count()
    change_tool(ada, search.pk, {"timeout": 10.0, "url": ADDRESS})
    assert AuditRecord.objects.count() == before


@pytest.mark.parametrize("name", ["name", "kind", "origin", "changed_fields"])
def test_a_tool_keeps_its_name_and_kind(ada: User, search: Tool, name: str) -> None:
    with pytest.raises(Refused, match="cannot be set here") as refusal:
        change_tool(ada, search.pk, {name: "mcp"})
    assert refusal.value.field == name


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_an_admin_configures_tools(search: Tool, role: str) -> None:
    somebody = person("vera", role)
    before = AuditRecord.objects.count()
    acts: list[Any] = [
        lambda: add_tool(somebody, {"name": "mine", "url": ADDRESS}),
        lambda: change_tool(somebody, search.pk, {"timeout": 1.0}),
        lambda: delete_tool(somebody, search.pk),
    ]
    for act in acts:
        with pytest.raises(Refused, match="needs the role admin") as refusal:
            act()
        assert refusal.value.code == "forbidden"
    assert AuditRecord.objects.count() == before
    assert list(Tool.objects.values_list("name", "timeout")) == [("finder", 10.0)]


def test_what_is_gone_is_said(ada: User) -> None:
    for act in (lambda: change_tool(ada, 10**9, {"timeout": 1.0}), lambda: delete_tool(ada, 10**9)):
        with pytest.raises(Refused) as refusal:
            act()
        assert refusal.value.code == "gone"


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"name": ""}, "name", "letters, digits"),
    ({"name": "find it"}, "name", "letters, digits"),
    ({"name": "-finder"}, "name", "letters, digits"),
    ({"name": "a" * 51}, "name", "at most 50"),
    ({"name": "finder"}, "name", "already"),
    ({"title": "x" * 201}, "title", "limit is 200"),
    ({"description": "x" * 2_001}, "description", "limit is 2,000"),
    ({"description": "a\x00b"}, "description", "NUL"),
    ({"kind": "ftp"}, "kind", "kinds are http, llm, mcp"),
    ({"kind": "llm"}, "model", "Name the model"),
    ({"kind": "llm", "model": " "}, "model", "Name the model"),
    ({"model": "small"}, "model", "has no model"),
    ({"url": ""}, "url", "Give the address"),
    ({"url": f"https://h/{'x' * 500}"}, "url", "limit is 500"),
    ({"url": "api.example.org"}, "url", "must begin with http"),
    ({"url": "ftp://api.example.org"}, "url", "must begin with http"),
    ({"url": "file:///etc/passwd"}, "url", "must begin with http"),
    ({"url": "https://"}, "url", "names no host"),
    ({"url": "https:///v1"}, "url", "names no host"),
    ({"url": "https://h:0/"}, "url", "names no host"),
    ({"url": "https://h:99999/"}, "url", "its port cannot be read"),
    ({"url": "https://[::1/"}, "url", "cannot be read"),
    ({"url": "https://2130706433/"}, "url", "names no host"),
    ({"url": "https://0x7f.1/"}, "url", "names no host"),
    ({"url": "https://127.1/"}, "url", "names no host"),
    ({"url": "https://a b/"}, "url", "characters? that addresses|holds a character"),
    ({"url": "https://münchen.example/"}, "url", "xn--"),
    ({"url": "https://h\\@evil/"}, "url", "holds an @"),
    ({"url": "https://h\\evil/"}, "url", "holds a character"),
    ({"url": "https://h/{job}"}, "url", "at the beginning"),
    ({"url": "{flaky_tools}search"}, "url", "begins with /"),
    ({"url": "{flaky_tools}:9000/x"}, "url", "begins with /"),
    ({"url": "{flaky_tools}/a/{b}"}, "url", "at the beginning"),
    ({"allow": ["10.1.2.3/16"]}, "allow", r"'10.1.2.3/16' names a host within a network; write 10.1.0.0/16"),
    ({"allow": ["10.0.0.0/33"]}, "allow", "'10.0.0.0/33' is no network"),
    ({"allow": ["https://search.internal"]}, "allow", "'https://search.internal' is no network"),
    ({"allow": ["0.0.0.0/0"]}, "allow", "'0.0.0.0/0' is wider than /8"),
    ({"allow": ["::/0"]}, "allow", "'::/0' is wider than /7"),
    ({"allow": ["localhost", "a host"]}, "allow", "'a host' is neither"),
    ({"allow": ["localhost:0"]}, "allow", "'localhost:0' has no port"),
    ({"allow": ["localhost:99999"]}, "allow", "'localhost:99999' has no port"),
    ({"allow": ["[localhost]:80"]}, "allow", "is neither"),
    ({"allow": ["127.1"]}, "allow", "is neither"),
    ({"allow": ["127.0.0.1:"]}, "allow", "has no port"),
    ({"allow": [""]}, "allow", "is no text"),
    ({"allow": [7]}, "allow", "is no text"),
    ({"allow": [f"h{n}" for n in range(51)]}, "allow", "limit is 50"),
    ({"secret_env": "CONVERGE_SECRET_KEY"}, "secret_env", "belongs to this service itself"),
    ({"secret_env": "DJANGO_SECRET"}, "secret_env", "belongs to this service itself"),
    ({"secret_env": "TOKEN", "secret_header": ""}, "secret_header", "Name the header"),
    ({"secret_header": "Host"}, "secret_header", "set by the service itself"),
    ({"secret_header": "content-length"}, "secret_header", "set by the service itself"),
    ({"secret_header": "Idempotency-Key"}, "secret_header", "set by the service itself"),
    ({"color": "red"}, "color", "cannot be set here"),
    ({"open_seconds": 60.0, "open_max": 30.0}, "open_max", "at least as many"),
]


@pytest.mark.parametrize(("given", "field", "words"), REFUSED)
def test_what_cannot_be_is_refused_at_its_field(
    ada: User, search: Tool, given: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(Refused) as refusal:
        add_tool(ada, {"name": "other", "url": ADDRESS, **given})
    assert refusal.value.field == field, refusal.value.message
    assert re.search(words, refusal.value.message), refusal.value.message
    assert Tool.objects.count() == 1


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_every_number_has_its_limits(ada: User, search: Tool, name: str) -> None:
    limit = LIMITS[name]
    wrong: list[Any] = [limit.low - 1, limit.high + 1, float("nan"), float("inf"), True, "many", None]
    wrong += [limit.low + 0.5] if limit.is_whole else []
    for value in wrong:
        with pytest.raises(Refused, match=r"; give a (whole )?number from") as refusal:
            change_tool(ada, search.pk, {name: value})
        assert refusal.value.field == name
    for value in (limit.low, limit.high):
        also = (
            {"open_max": 86_400}
            if name == "open_seconds"
            else {"open_seconds": 1}
            if name == "open_max"
            else {}
        )
        change_tool(ada, search.pk, {name: value, **also})


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:9000",
        "https://[2001:db8::1]:8443/x",
        "{flaky_tools}",
        "{flaky_tools}/search",
        ADDRESS + "/",
    ],
)
def test_these_are_addresses(ada: User, url: str) -> None:
    assert add_tool(ada, {"name": "other", "url": url}).url == url


@pytest.mark.parametrize(
    "entry",
    [
        "localhost",
        "search.internal:8080",
        "10.0.0.0/8",
        "127.0.0.1",
        "127.0.0.1:9000",
        "::1",
        "[::1]:80",
        "fd00::/8",
    ],
)
def test_these_may_be_allowed(ada: User, search: Tool, entry: str) -> None:
    assert change_tool(ada, search.pk, {"allow": [entry]}).allow == [entry]


@pytest.mark.parametrize(
    ("header", "prefix"),
    [("Authorization", "Bearer "), ("X-Api-Key", ""), ("api_key", "Token: "), ("Cookie", "session=")],
)
def test_these_carry_a_secret(ada: User, search: Tool, header: str, prefix: str) -> None:
    change_tool(
        ada, search.pk, {"secret_env": "FINDER_TOKEN_2", "secret_header": header, "secret_prefix": prefix}
    )
    assert last_record().detail["changes"]["secret_env"] == {"from": "", "to": "FINDER_TOKEN_2"}


PLANTED = "sk-proj-4f9a8b7c6d5e4f3a2b1c"
SECRETS: list[tuple[str, str]] = [
    ("secret_env", PLANTED),
    ("secret_env", "AKIAIOSFODNN7EXAMPLE"),
    ("secret_env", "JBSWY3DPEHPK3PXPJBSW"),
    ("secret_env", "A" * 40),
    ("secret_env", "hunter2"),
    ("secret_env", "two words"),
    ("secret_env", "x" * 3_000),
    ("secret_env", "PLANTED VALUE"),
    ("secret_env", "VALUE_IN_ENV"),
    ("secret_header", PLANTED),
    ("secret_header", "X-Key: 123"),
    ("secret_prefix", f"Bearer {PLANTED}"),
    ("secret_prefix", "Basic dXNlcjpwYXNzd29yZA=="),
    ("secret_prefix", "hunter2"),
    ("secret_prefix", "Token token="),
    ("url", "https://ada:hunter2@api.example.org/"),
    ("url", "https://ada:hunt er2@api.example.org/"),
    ("url", "https://hunter2@api.example.org/"),
    ("url", "https://api.example.org/?api_key=hunter2"),
    ("url", "https://api.example.org/#hunter2"),
    ("url", "{flaky_tools}/search?key=hunter2"),
    ("url", f"https://api.example.org/{PLANTED}"),
    ("allow", "ada:hunter2@search.internal"),
    ("allow", PLANTED),
    ("title", f"Finder {PLANTED}"),
    ("description", f"The key is {PLANTED}."),
    ("name", PLANTED),
]


@pytest.mark.parametrize(("field", "typed"), SECRETS)
def test_what_may_be_a_secret_is_refused_and_not_said_again(
    ada: User, search: Tool, monkeypatch: pytest.MonkeyPatch, field: str, typed: str
) -> None:
    monkeypatch.setenv("FINDER_TOKEN", "VALUE_IN_ENV")
    given = {"name": "other", "url": ADDRESS, field: [typed] if field == "allow" else typed}
    with pytest.raises(NotKept, match="environment variable") as refusal:
        add_tool(ada, given)
    assert refusal.value.field == field
    assert typed not in str(refusal.value)
    assert "hunter2" not in refusal.value.message
    assert typed not in str([*AuditRecord.objects.values(), *Tool.objects.values()])


def test_the_name_of_a_set_variable_is_a_name(
    ada: User, search: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCHSERVICETOKEN2", "hidden")
    change_tool(ada, search.pk, {"secret_env": "SEARCHSERVICETOKEN2"})
    assert "hidden" not in str(list(AuditRecord.objects.values()))


def test_a_tool_that_nobody_uses_is_deleted(ada: User, search: Tool) -> None:
    delete_tool(ada, search.pk, reason="not needed")
    assert not Tool.objects.exists()
    record = last_record()
    assert (record.act, record.target, record.reason) == ("delete_tool", "tool:finder", "not needed")
    assert record.detail["settings"]["url"] == ADDRESS


def test_a_tool_in_use_is_kept_and_says_by_whom(ada: User, otto: User, search: Tool, growth: Pack) -> None:
    mine = lookup(ada, growth)
    job = submit_job(otto, "growth", [{"key": "company", "subject": "A", "value": company()}])
    with pytest.raises(Refused, match=f"in use by the agent growth/lookup, job {job.pk}\\."):
        delete_tool(ada, search.pk)
    change_agent(ada, mine.pk, {"enabled": False})
    with pytest.raises(Refused, match=f"in use by job {job.pk}\\."):
        delete_tool(ada, search.pk)
    Job.objects.filter(pk=job.pk).update(status="partial")
    delete_agent(ada, mine.pk)
    delete_tool(ada, search.pk)
    assert not Tool.objects.filter(name="finder").exists()


def test_a_tool_that_jobs_wait_for_is_kept(ada: User, otto: User, search: Tool, growth: Pack) -> None:
    for _ in range(2):
        submit_job(otto, "growth", [{"key": "company", "subject": "A", "value": company()}])
    Job.objects.update(status="recovering", waits_on=" finder ")
    with pytest.raises(Refused, match="2 jobs under way"):
        delete_tool(ada, search.pk)


def test_a_tool_of_the_code_is_disabled_not_deleted(ada: User, search: Tool) -> None:
    Tool.objects.update(origin="code")
    with pytest.raises(Refused, match="disable it instead"):
        delete_tool(ada, search.pk)
    change_tool(ada, search.pk, {"enabled": False})
    search.refresh_from_db()
    assert (search.enabled, search.changed_fields) == (False, ["enabled"])


def company() -> dict[str, Any]:
    return {"goal": "profit", "budget": 1000, "risk": "balanced", "horizon": 6}

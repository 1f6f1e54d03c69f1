"""The simulator of tools that fail: how each mode looks from the client's end of the socket, and what is counted."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from itertools import permutations
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from django.conf import settings

from runtime.management.commands.flaky_tools import ask_simulator
from runtime.tools.flaky import FAILING, FlakyTools, UnknownMode
from runtime.tools.flaky.modes import check_mode, mode_of_request
from runtime.tools.flaky.research import find_interest
from tests.commands.said import call
from tests.waiting import eventually

SEARCH: dict[str, Any] = {
    "contract": "converge-agent/1",
    "item": {"subject": "Podcasts", "value": {}, "confidence": 1.0},
    "facts": {},
    "writes": {"evidence.web": {"type": "object", "properties": {"interest": {}, "change": {}}}},
}
POSTED = b"POST /search HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
SUMMARY = {"type": "object", "properties": {"summary": {"type": "string"}}, "required": ["summary"]}
CHAT: dict[str, Any] = {
    "model": "small",
    "messages": [
        {"role": "user", "content": '{"headline": "Back Podcasts; keep nothing; cut Radio spots."}'}
    ],
    "response_format": {"type": "json_schema", "json_schema": {"name": "said", "schema": SUMMARY}},
}


@pytest.fixture
def tools() -> Iterator[FlakyTools]:
    with FlakyTools(slow=20) as running:
        yield running


def ask(
    tools: FlakyTools,
    path: str = "/search",
    body: Any = SEARCH,
    key: str = "",
    seconds: float = 10,
    method: str = "POST",
    **headers: str,
) -> HTTPResponse:
    """One request; the answer's headers are there, its body still to be read."""
    connection = HTTPConnection("127.0.0.1", tools.port, timeout=seconds)
    sent = body if isinstance(body, bytes) else json.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, sent, {"Idempotency-Key": key} | named)
    return connection.getresponse()


def ask_json(tools: FlakyTools, *args: Any, **options: Any) -> Any:
    answer = ask(tools, *args, **options)
    assert answer.status == 200
    return json.load(answer)


def send_raw(tools: FlakyTools, text: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", tools.port), timeout=10)
    client.sendall(text)
    return client


# Well


def test_search_answers_by_the_name_alone(tools: FlakyTools) -> None:
    (said,) = ask_json(tools)["proposals"]
    assert (said["key"], said["subject"]) == ("evidence.web", "Podcasts")
    assert said["value"] == {name: find_interest("Podcasts")[name] for name in ("interest", "change")}
    assert said == ask_json(tools, body=SEARCH | {"job": 7, "cycle": 9}, key="other")["proposals"][0]
    radio = SEARCH | {"item": {"subject": "Radio spots"}}
    assert ask_json(tools, body=radio)["proposals"][0]["value"]["interest"] == "falling"


def test_search_speaks_about_groups_and_whole_views_and_rules_between_sides(tools: FlakyTools) -> None:
    rows = [{"subject": "a"}, {"subject": "b"}]
    for asked in ({"group": {"name": "g", "items": rows}}, {"facts": {"channel": rows}}):
        proposals = ask_json(tools, body={"writes": SEARCH["writes"]} | asked)["proposals"]
        assert [said["subject"] for said in proposals] == ["a", "b"]
    ruled = ask_json(tools, body={"sides": [{"value": 1}, {"value": 2}]})
    assert ruled["ruling"]["value"] == 1


def test_a_value_for_any_other_key_fits_its_schema(tools: FlakyTools) -> None:
    schema = {
        "type": "object",
        "properties": {
            "word": {"enum": ["yes", "no"]},
            "share": {"type": "number", "minimum": 0.5, "maximum": 0.6},
            "names": {"type": "array", "items": {"type": "string", "maxLength": 5}, "minItems": 2},
            "either": {"type": ["integer", "null"], "maximum": 3},
        },
        "required": ["word", "share", "names", "either"],
        "additionalProperties": False,
    }
    for subject in ("a", "b", "c"):
        asked = {"item": {"subject": subject}, "writes": {"k": schema}}
        jsonschema_rs.validate(schema, ask_json(tools, body=asked)["proposals"][0]["value"])


def test_writer_honours_the_schema_and_counts_tokens(tools: FlakyTools) -> None:
    said = ask_json(tools, "/writer/v1/chat/completions", CHAT)
    content = json.loads(said["choices"][0]["message"]["content"])
    jsonschema_rs.validate(SUMMARY, content)
    assert "Podcasts" in content["summary"]
    assert "Radio spots" in content["summary"]
    usage = said["usage"]
    assert usage["prompt_tokens"] > 5 < usage["completion_tokens"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert said == ask_json(tools, "/writer/v1/chat/completions", CHAT)
    plain = {name: value for name, value in CHAT.items() if name != "response_format"}
    assert (
        "Podcasts"
        in ask_json(tools, "/writer/v1/chat/completions", plain)["choices"][0]["message"]["content"]
    )


def test_what_is_no_json_object_is_a_400_and_a_wrong_path_a_404(tools: FlakyTools) -> None:
    assert ask(tools, body=b"{").status == 400
    assert ask(tools, body=[1]).status == 400
    assert ask(tools, "/writer/v1/models", {}).status == 404
    assert ask(tools, "/nowhere", {}).status == 404
    assert tools.requests("search") == 2
    assert tools.requests("writer") == 1


# Misbehaving


@pytest.mark.parametrize(
    ("mode", "status"), [("down", 503), ("server_error", 500), ("refused", 404), ("rate_limited", 429)]
)
def test_errors_come_with_their_status(tools: FlakyTools, mode: str, status: int) -> None:
    tools.mode("search", mode)
    answer = ask(tools)
    assert answer.status == status
    assert answer.getheader("Retry-After") == ("1" if mode == "rate_limited" else None)
    assert ask_json(tools, "/writer/v1/chat/completions", CHAT)["object"] == "chat.completion"


def test_slow_sends_no_header(tools: FlakyTools) -> None:
    tools.mode("search", "slow")
    client = send_raw(tools, POSTED)
    client.settimeout(0.3)
    with client, pytest.raises(TimeoutError):
        client.recv(1)
    assert tools.requests("search") == 1


def test_slow_answers_well_after_its_time() -> None:
    with FlakyTools(slow=0.05) as tools:
        tools.mode("search", "slow")
        assert ask_json(tools)["proposals"]
        tools.mode("search", "slow_body")
        assert ask_json(tools)["proposals"]


def test_slow_body_sends_headers_and_then_a_trickle(tools: FlakyTools) -> None:
    tools.mode("search", "slow_body")
    chunks: list[bytes] = []
    tools.slow = 1.5
    with send_raw(tools, POSTED) as client:
        while not chunks or chunks[-1]:
            chunks.append(client.recv(1000))
    said, _, body = b"".join(chunks).partition(b"\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 200")
    assert json.loads(body) == {"proposals": []}
    # The bytes come one by one, well within any timeout between two reads: only a limit to the whole ends the wait.
    assert len(chunks) > len(body) / 2

    tools.slow = 600
    with send_raw(tools, POSTED) as client:
        assert client.recv(1000).endswith(b"\r\n\r\n"), "headers come at once"
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_reset_is_a_reset_after_the_request_was_read(tools: FlakyTools) -> None:
    tools.mode("search", "reset")
    with send_raw(tools, POSTED) as client, pytest.raises(ConnectionResetError):
        client.recv(1)
    assert tools.requests("search") == 1


def test_bad_json_is_complete_and_cannot_be_parsed(tools: FlakyTools) -> None:
    tools.mode("search", "bad_json")
    answer = ask(tools)
    body = answer.read()
    assert answer.status == 200
    with pytest.raises(ValueError, match="Unterminated string"):
        json.loads(body)


def test_bad_schema_is_json_that_nobody_asked_for(tools: FlakyTools) -> None:
    for tool in ("search", "writer"):
        tools.mode(tool, "bad_schema")
    assert "proposals" not in ask_json(tools)
    said = ask_json(tools, "/writer/v1/chat/completions", CHAT)
    content = json.loads(said["choices"][0]["message"]["content"])
    assert not jsonschema_rs.is_valid(SUMMARY, content)
    assert said["usage"]["total_tokens"]


def test_huge_is_as_long_as_is_said_and_stops_for_a_client_that_leaves(tools: FlakyTools) -> None:
    tools.mode("search", "huge")
    tools.huge = 3_000_000
    answer = ask(tools)
    assert answer.getheader("Content-Length") is None
    body = answer.read()
    assert len(body) > 3_000_000
    assert json.loads(body)
    tools.huge = 10**12
    left = ask(tools)
    assert len(left.read(100_000)) == 100_000
    left.close()


def test_redirect_leads_to_a_private_address_where_visitors_are_counted(tools: FlakyTools) -> None:
    tools.mode("search", "redirect")
    answer = ask(tools)
    assert answer.status == 307
    assert answer.getheader("Location") == f"{tools.url}/_private"
    assert tools.followed == 0
    ask(tools, "/_private")
    assert tools.followed == 1
    assert tools.requests("search") == 1


def test_unknown_modes_and_tools_are_refused(tools: FlakyTools) -> None:
    for mode in ("", "broken", "random", "random:2", "random:0.3:", "random:x", "ok ", "random:0.3:a b"):
        with pytest.raises(UnknownMode, match="is no mode; use ok, down"):
            tools.mode("search", mode)
    with pytest.raises(ValueError, match="it has search, writer"):
        tools.mode("printer", "down")
    assert tools.mode_of("search") == "ok"
    for mode in ("random:0", "random:1", "random:.5", "random:0.3:seed_1"):
        assert check_mode(mode) == mode


# At random


def test_random_fails_the_share_it_is_told_in_every_way() -> None:
    met = [
        mode_of_request("random:0.3:a", "search", f"job-{at}", seen)
        for at in range(1000)
        for seen in (1, 2, 3)
    ]
    failed = [mode for mode in met if mode != "ok"]
    assert 0.27 < len(failed) / len(met) < 0.33
    assert all(0.5 < failed.count(mode) * len(FAILING) / len(failed) < 1.5 for mode in FAILING)


def test_random_goes_through_all_failing_modes_for_one_key() -> None:
    count = len(FAILING)
    for key in ("", "a", "b"):
        met = [mode_of_request("random:1", "search", key, seen) for seen in range(1, 2 * count + 1)]
        assert set(met[:count]) == set(FAILING)
        assert met[:count] == met[count:]
    orders = {
        tuple(mode_of_request("random:1", "search", key, n) for n in range(1, count + 1)) for key in "abcdef"
    }
    assert len(orders) > 1


def test_random_lets_a_second_attempt_succeed_and_has_another_draw_for_each_seed() -> None:
    first = {key for key in map(str, range(100)) if mode_of_request("random:.5", "search", key, 1) != "ok"}
    healed = {key for key in first if mode_of_request("random:.5", "search", key, 2) == "ok"}
    assert 30 < len(first) < 70
    assert 10 < len(healed) < len(first)
    other = {key for key in map(str, range(100)) if mode_of_request("random:.5:b", "search", key, 1) != "ok"}
    assert other != first


def test_order_of_arrival_has_no_say_in_what_fails() -> None:
    """The same requests meet the same modes, whoever comes first."""
    met = []
    for order in list(permutations("abcd"))[::5]:
        with FlakyTools() as tools:
            tools.mode("search", "random:0.6:x")
            for key in order:
                tools.count("search", "/search", {"idempotency-key": key}, b"")
            met.append({asked.key: asked.mode for asked in tools.asked("search")})
    assert all(one == met[0] for one in met)
    assert len(set(met[0].values())) > 1


# Counting


def test_requests_are_counted_by_tool_and_by_key(tools: FlakyTools) -> None:
    tools.mode("search", "down")
    for key in ("one", "one", "two"):
        assert ask(tools, key=key, Authorization="Bearer planted").status == 503
    assert tools.requests("search") == 3
    assert (tools.requests("search", "one"), tools.requests("search", "two")) == (2, 1)
    assert tools.requests("writer") == 0
    asked = tools.asked("search")[0]
    assert (asked.path, asked.key, asked.mode) == ("/search", "one", "down")
    assert asked.headers["authorization"] == "Bearer planted"
    assert json.loads(asked.body) == SEARCH
    assert "planted" not in json.dumps(tools.state())
    tools.forget()
    assert (tools.requests("search"), tools.mode_of("search")) == (0, "down")


def test_a_request_counts_before_it_is_answered(tools: FlakyTools) -> None:
    """Whoever has an answer in hand finds it counted, and whoever has none may find it counted too."""
    for at in range(30):
        answer = ask(tools)
        assert tools.requests("search") == at + 1
        answer.close()
    tools.mode("search", "slow")
    with pytest.raises(TimeoutError):
        ask(tools, seconds=0.2)
    assert tools.requests("search") == 31


def test_many_threads_at_once_are_all_counted(tools: FlakyTools) -> None:
    def work(number: int) -> None:
        for _ in range(10):
            ask(tools, key=f"key-{number}").close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tools.requests("search") == 80
    assert [tools.requests("search", f"key-{number}") for number in range(8)] == [10] * 8


@pytest.mark.parametrize(
    "text",
    [
        b"POST /search HTTP/1.1\r\nContent-Length: 50\r\n\r\n{}",
        b"POST /search HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"POST /search HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n{}",
        b"POST /sea",
    ],
)
def test_a_request_that_was_not_read_does_not_count(tools: FlakyTools, text: bytes) -> None:
    client = send_raw(tools, text)
    client.shutdown(socket.SHUT_WR)
    with client, contextlib.suppress(ConnectionResetError):
        while client.recv(1000):
            pass
    assert tools.requests("search") == 0


# Stopping


@pytest.mark.parametrize("mode", ["slow", "slow_body"])
def test_it_stops_at_once_though_somebody_waits(mode: str) -> None:
    tools = FlakyTools(slow=600).start()
    tools.mode("search", mode)
    client = send_raw(tools, POSTED)
    silent = socket.create_connection(("127.0.0.1", tools.port), timeout=10)
    assert eventually(lambda: tools.requests("search") == 1)
    began = time.monotonic()
    tools.stop()
    assert time.monotonic() - began < 5, "the modes would have taken ten minutes"
    for connection in (client, silent):
        with connection, contextlib.suppress(ConnectionResetError):
            while connection.recv(1000):
                pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", tools.port), timeout=10)


def test_another_may_take_its_port_at_once_and_two_may_not_share_it() -> None:
    with FlakyTools() as first:
        ask(first).read()
        with pytest.raises(OSError, match="in use"):
            FlakyTools(first.port)
    with FlakyTools(first.port) as second:
        assert ask_json(second)["proposals"]


def test_a_client_that_leaves_frees_its_thread(tools: FlakyTools) -> None:
    tools.mode("search", "slow")
    tools.slow = 600
    before = threading.active_count()
    clients = [send_raw(tools, POSTED) for _ in range(5)]
    assert eventually(lambda: tools.requests("search") == 5)
    assert threading.active_count() >= before + 5
    for client in clients:
        client.close()
    assert eventually(lambda: threading.active_count() <= before)


# The page and the command


def set_mode(tools: FlakyTools, body: bytes, **headers: str) -> int:
    return ask(tools, "/_mode", body, **headers).status


def test_the_page_shows_modes_and_counts_and_loads_nothing_from_elsewhere(tools: FlakyTools) -> None:
    tools.mode("search", "random:0.2:b")
    ask(tools).close()
    answer = ask(tools, "/", b"", method="GET")
    page = answer.read().decode()
    assert "1 request: 1 " in page
    assert "now <b>random:0.2:b</b>" in page
    assert page.count("<form") == 2
    assert "default-src 'none'" in (answer.getheader("Content-Security-Policy") or "")
    assert ask(tools, "/_style.css", b"", method="GET").getheader("Content-Type", "").startswith("text/css")


def test_its_form_and_a_program_set_modes(tools: FlakyTools) -> None:
    form = {"Content_Type": "application/x-www-form-urlencoded", "Origin": tools.url}
    answer = ask(tools, "/_mode", b"tool=search&mode=down", **form)
    assert (answer.status, answer.getheader("Location")) == (303, "/")
    assert tools.mode_of("search") == "down"
    assert set_mode(tools, b'{"tool": "search", "mode": "ok"}', Content_Type="application/json") == 200
    assert tools.mode_of("search") == "ok"
    assert set_mode(tools, b'{"tool": "search", "mode": "ill"}', Content_Type="application/json") == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Type": "application/x-www-form-urlencoded", "Origin": "http://evil.example"},
        {"Content_Type": "application/x-www-form-urlencoded", "Origin": "null"},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": "application/json", "Origin": "http://evil.example"},
        {"Content_Type": "application/json", "Host": "evil.example"},
        {"Content_Type": "text/plain"},
    ],
)
def test_another_site_cannot_set_modes(tools: FlakyTools, headers: dict[str, str]) -> None:
    form = "form" in headers["Content_Type"]
    body = b"tool=search&mode=down" if form else b'{"tool": "search", "mode": "down"}'
    assert set_mode(tools, body, **headers) in (403, 415)
    assert tools.mode_of("search") == "ok"


@pytest.fixture
def installed_tools(tools: FlakyTools, monkeypatch: pytest.MonkeyPatch) -> FlakyTools:
    """The simulator at the address that this installation is set to."""
    monkeypatch.setenv("CONVERGE_FLAKY_TOOLS_URL", tools.url)
    monkeypatch.setattr(settings, "CONVERGE_FLAKY_TOOLS_URL", tools.url)
    return tools


def test_the_command_sets_modes_and_prints_the_state(installed_tools: FlakyTools) -> None:
    said = call("flaky_tools", "search=down", "writer=random:0.3:x")
    assert (said.status, said.out) == (0, "search: down\nwriter: random:0.3:x\n")
    assert installed_tools.mode_of("search") == "down"
    ask(installed_tools, key="k").close()
    state = json.loads(call("flaky_tools", state=True).out)
    assert state == installed_tools.state()
    assert state["tools"]["search"] == {
        "mode": "down",
        "requests": 1,
        "answered": {"down": 1},
        "keys": {"k": 1},
    }


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("search", "'search' is not tool=mode; tools are search, writer."),
        ("printer=down", "tools are search, writer."),
        ("search=ill", "'ill' is no mode; use ok, down"),
    ],
)
def test_the_command_says_what_it_does_not_know(
    installed_tools: FlakyTools, argument: str, said: str
) -> None:
    refused = call("flaky_tools", "writer=down", argument)
    assert refused.status == 1
    assert said in refused.err
    assert installed_tools.mode_of("writer") == "ok", "all or nothing"


def test_the_command_says_when_nothing_answers(
    installed_tools: FlakyTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed_tools.stop()
    refused = call("flaky_tools", "search=down")
    assert refused.status == 1
    assert f"No simulator answers at {installed_tools.url}." in refused.err


def test_the_command_finds_the_simulator_of_an_up_on_another_port(
    tools: FlakyTools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONVERGE_FLAKY_TOOLS_URL", raising=False)
    monkeypatch.setattr(settings, "CONVERGE_HOME", tmp_path)
    (tmp_path / "up.lock").write_text(f"process 7, http://127.0.0.1:9000/, flaky tools {tools.url}")
    assert call("flaky_tools", "search=down").status == 0
    assert tools.mode_of("search") == "down"


def test_it_is_served_on_this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "CONVERGE_FLAKY_TOOLS_URL", "http://192.0.2.1:8001")
    refused = call("flaky_tools")
    assert refused.status == 1
    assert "only listens on this machine" in refused.err


def test_a_busy_port_is_said(installed_tools: FlakyTools) -> None:
    refused = call("flaky_tools")
    assert refused.status == 1
    assert f"cannot listen at {installed_tools.url}" in refused.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_in_the_foreground_until_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CONVERGE_")}
    served = subprocess.Popen(
        [sys.executable, str(settings.BASE_DIR / "manage.py"), "flaky_tools"],
        env=kept | {"CONVERGE_HOME": str(tmp_path), "CONVERGE_FLAKY_TOOLS_URL": url},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert served.stdout is not None
        assert url in served.stdout.readline()
        ask_simulator(url, "POST", "/_mode", {"tool": "search", "mode": "slow"})
        waits = socket.create_connection((url[7:].split(":")[0], int(url.rsplit(":", 1)[1])), timeout=10)
        waits.sendall(b"POST /search HTTP/1.1\r\nIdempotency-Key: k-1\r\nContent-Length: 2\r\n\r\n{}")
        assert served.stdout.readline() == "search: slow  k-1\n"
        served.send_signal(number)
        assert served.wait(15) == 0
        waits.close()
    finally:
        served.kill()
        served.wait(10)

"""The simulator's page, and `manage.py flaky_tools`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from runtime.management.commands.flaky_tools import ask_simulator
from runtime.tools.flaky import FlakyTools
from tests.commands.said import call
from tests.ports import take_port
from tests.simulator.asking import ask


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
    url = f"http://127.0.0.1:{take_port()}"
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

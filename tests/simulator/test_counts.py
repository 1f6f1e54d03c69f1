"""What the simulator counts, and how it stops."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time

import pytest

from runtime.tools.flaky import FlakyTools
from tests.simulator.asking import POSTED, SEARCH, ask, ask_json, send_raw
from tests.waiting import eventually


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

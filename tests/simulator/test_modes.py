"""How each mode of the simulator looks from the client's end of the socket."""

from __future__ import annotations

import json
from itertools import permutations

import jsonschema_rs
import pytest

from runtime.tools.flaky import FAILING, FlakyTools, UnknownMode
from runtime.tools.flaky.modes import check_mode, mode_of_request
from tests.simulator.asking import CHAT, POSTED, SUMMARY, ask, ask_json, send_raw


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

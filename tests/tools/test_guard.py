"""No tool reaches a private address that its `allow` does not list, whatever its address is written like."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings

from runtime.tools import ToolFailed
from runtime.tools.guard import GuardedBackend, Place, check_address, find_place, resolve_host, resolve_url
from runtime.tools.http import post_json
from runtime.tools.spec import ToolSpec
from tests.tools.cast import run_of, tool_at
from tests.tools.servers import says, serving

PRIVATE = [
    "127.0.0.1",
    "127.8.9.10",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "0.0.0.0",
    "0.1.2.3",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:a00:1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "100::1",
]
PUBLIC = ["93.184.216.34", "8.8.8.8", "172.32.0.1", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::8.8.8.8"]


def place(host: str = "api.example.com", port: int = 443, *allow: str) -> Place:
    return Place(f"https://{host}", host, port, allow)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_address_is_refused(address: str) -> None:
    assert not check_address(address, place())


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address_is_allowed(address: str) -> None:
    assert check_address(address, place())


@pytest.mark.parametrize(
    ("entry", "address", "allowed"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", True),  # public anyhow
        ("10.0.0.0/8", "192.168.0.1", False),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:8000", "10.1.2.3", True),
        ("10.1.2.3:8001", "10.1.2.3", False),
        ("::1", "::1", True),
        ("[::1]:8000", "::1", True),
        ("[::1]:8001", "::1", False),
        ("fd00::/8", "fd12::1", True),
        ("169.254.169.254", "169.254.169.254", True),
        ("inner.example.com", "10.1.2.3", True),
        ("INNER.example.com.", "127.0.0.1", True),
        ("inner.example.com:8000", "10.1.2.3", True),
        ("inner.example.com:8001", "10.1.2.3", False),
        ("other.example.com", "10.1.2.3", False),
        ("example.com", "10.1.2.3", False),
        # A listed name opens no metadata service, whatever it resolves to.
        ("inner.example.com", "169.254.169.254", False),
        ("inner.example.com", "::ffff:169.254.169.254", False),
        ("inner.example.com", "fd00:ec2::254", False),
        ("inner.example.com", "0.0.0.0", False),
        ("inner.example.com", "224.0.0.1", False),
        ("", "10.1.2.3", False),
        ("[", "10.1.2.3", False),
    ],
)
def test_allow_entry_opens_what_it_names(entry: str, address: str, allowed: bool) -> None:
    assert check_address(address, place("inner.example.com", 8000, entry)) is allowed


@pytest.mark.parametrize(
    "url",
    [
        "",
        "search.example.com/v1",
        "ftp://search.example.com",
        "file:///etc/passwd",
        "unix:///run/redis.sock",
        "http://",
        "http://user:word@search.example.com/",
        "http://search.example.com@169.254.169.254/",
        "http://search.example.com\\@169.254.169.254/",
        "http://search.example.com:port/",
        "http://search.example.com:99999/",
        "http://search.example.com/a b",
        "http://search.example.com/\r\nHost: x",
        "http://[fe80::1%25eth0]/",
        "http://[::1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://0x7f.1/",
        "http://127.1/",
        "http://127.0.0.1.1/",
        "http://ⓔxample.com/",
    ],
)
def test_address_no_tool_may_have_is_refused(url: str) -> None:
    with pytest.raises(ToolFailed) as caught:
        find_place(ToolSpec("search", url=url))
    assert (caught.value.cls, caught.value.transient) == ("refused", False)
    assert "169.254" not in caught.value.message


@pytest.mark.parametrize(
    "path", ["@evil.example.com/", "//evil.example.com/", "/../x", "?q=1", "http://evil.example.com/"]
)
def test_path_never_changes_the_host(path: str) -> None:
    found = find_place(ToolSpec("search", url="http://search.example.com/base"), path)
    assert found.url.startswith("http://search.example.com/base/")


@override_settings(CONVERGE_FLAKY_TOOLS_URL="http://127.0.0.1:8801")
def test_simulator_may_be_on_this_machine_and_nothing_else_there() -> None:
    tool = ToolSpec("search", url="{flaky_tools}/search")
    found = find_place(tool, "/v1")
    assert (resolve_url(tool), found.url) == (
        "http://127.0.0.1:8801/search",
        "http://127.0.0.1:8801/search/v1",
    )
    assert check_address("127.0.0.1", found)
    assert not check_address("127.0.0.2", found)
    assert not check_address("127.0.0.1", found._replace(port=6379))


@override_settings(CONVERGE_FLAKY_TOOLS_URL="http://127.0.0.1:880")
@pytest.mark.parametrize("rest", ["@evil.example.com/", ".evil.example.com/", "1/search", "x"])
def test_simulators_name_hides_no_other_host(rest: str) -> None:
    with pytest.raises(ToolFailed):
        find_place(ToolSpec("search", url="{flaky_tools}" + rest))


def names(**hosts: list[str]) -> Any:
    """A resolver that knows `hosts` (with _ for the dots), and counts how often it was asked."""

    async def resolve(host: str, port: int) -> list[str]:
        resolve.asked += 1  # type: ignore[attr-defined]
        answer = hosts[host.replace(".", "_")]
        return [answer.pop(0)] if len(answer) > 1 and "rebind" in host else answer

    resolve.asked = 0  # type: ignore[attr-defined]
    return resolve


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["169.254.169.254"],
        ["::ffff:127.0.0.1"],
        ["93.184.216.34", "127.0.0.1"],
        ["127.0.0.1", "93.184.216.34"],
    ],
)
async def test_name_that_resolves_to_a_private_address_is_refused(addresses: list[str]) -> None:
    async with serving(says({})) as server:
        tool = tool_at(f"http://inner.example.com:{server.port}/", allow=())
        with pytest.raises(ToolFailed) as caught:
            await post_json(tool, "", {}, "k", names(inner_example_com=addresses))
    assert caught.value.message == (
        "search is not called: its address is private, and is not among those that this tool may be at."
    )
    assert caught.value.cls == "refused"
    assert not server.requests


async def test_name_is_resolved_once_and_the_checked_address_is_used() -> None:
    # The second answer would lead elsewhere: there is no second question.
    resolve = names(rebind_example_com=["127.0.0.1", "127.0.0.2"])
    async with serving(says({"here": 1})) as server:
        tool = tool_at(f"http://rebind.example.com:{server.port}/", allow=("127.0.0.1",))
        answer = await post_json(tool, "", {}, "k", resolve)
    assert (answer.value, resolve.asked) == ({"here": 1}, 1)
    assert server.requests[0].headers["host"] == f"rebind.example.com:{server.port}"


@pytest.mark.parametrize("addresses", [["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"]])
async def test_listed_name_may_be_private_and_each_address_is_tried(addresses: list[str]) -> None:
    async with serving(says({"here": 1})) as server:
        tool = tool_at(f"http://inner.example.com:{server.port}/", allow=("inner.example.com",))
        answer = await post_json(tool, "", {}, "k", names(inner_example_com=addresses))
    assert answer.value == {"here": 1}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_this_machine_is_refused_unless_listed(host: str) -> None:
    async with serving(says({})) as server:
        with pytest.raises(ToolFailed) as caught:
            await run_of(tool_at(f"http://{host}:{server.port}/", allow=())).post("search", {})
    assert caught.value.cls == "refused"
    assert not server.requests


async def test_system_resolver_reads_odd_numbers_as_what_they_are() -> None:
    """Beside the check of how a host is written: what it resolves to is checked in any case."""
    for text in ("2130706433", "0x7f.1", "0177.0.0.1", "127.1"):
        found = await resolve_host(text, 80)
        assert found == ["127.0.0.1"]
        assert not check_address(found[0], place(text, 80))


async def test_redirect_to_the_metadata_service_is_not_followed() -> None:
    async with serving(says({})) as inner:
        target = f"http://127.0.0.1:{inner.port}/latest/meta-data/"
        async with serving(says(b"", 307, Location=target)) as server:
            with pytest.raises(ToolFailed) as caught:
                await run_of(tool_at(server.url)).post("search", {})
    assert (caught.value.cls, caught.value.status) == ("refused", 307)
    assert not inner.requests


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(says({"by": "proxy"})) as proxy, serving(says({"by": "server"})) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert await run_of(tool_at(server.url)).post("search", {}) == {"by": "server"}
    assert not proxy.requests


async def test_backend_opens_no_other_host_and_no_socket_file() -> None:
    tool = tool_at("http://127.0.0.1:9/")
    backend = GuardedBackend(tool, find_place(tool))
    with pytest.raises(ToolFailed, match="another host"):
        await backend.connect_tcp("127.0.0.1", 10)
    with pytest.raises(ToolFailed, match="another host"):
        await backend.connect_tcp("127.0.0.2", 9)
    with pytest.raises(ToolFailed):
        await backend.connect_unix_socket("/run/redis.sock")


@pytest.fixture
def dead_name(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """While the test lasts, looking up `search.example.com` hangs."""
    over, system = threading.Event(), socket.getaddrinfo

    def look_up(host: str, *args: Any, **options: Any) -> Any:
        if host == "search.example.com":
            over.wait(60)
            raise socket.gaierror(-3, "temporary failure")
        return system(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield
    over.set()


@pytest.mark.usefixtures("dead_name")
async def test_resolver_that_hangs_is_a_timeout() -> None:
    with pytest.raises(ToolFailed) as caught:
        await run_of(tool_at("http://search.example.com", timeout=0.1)).post("search", {})
    assert caught.value.cls == "timeout"


@pytest.mark.usefixtures("dead_name")
async def test_dead_name_leaves_other_tools_their_lookups() -> None:
    async with serving(says({"here": 1})) as server:
        dead = tool_at("http://search.example.com", timeout=60.0)
        calls = [asyncio.ensure_future(run_of(dead, job=job).post("search", {})) for job in range(50)]
        await asyncio.wait(calls, timeout=0.1)
        alive = run_of(tool_at(f"http://localhost:{server.port}/", allow=("localhost",), timeout=20.0))
        assert await alive.post("search", {}) == {"here": 1}
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)


async def test_address_that_swallows_everything_leaves_time_for_the_next() -> None:
    async with serving(says({"here": 1})) as server:
        with socket.socket() as deaf, contextlib.ExitStack() as waiting:
            deaf.bind(("127.0.0.2", server.port))
            deaf.listen(0)
            for _ in range(3):  # fill the queue of those who wait
                first = waiting.enter_context(socket.socket())
                first.setblocking(False)
                first.connect_ex(deaf.getsockname())
            tool = tool_at(f"http://inner.example.com:{server.port}/", allow=("127.0.0.0/8",), timeout=4.0)
            resolve = names(inner_example_com=["127.0.0.2", "127.0.0.1"])
            async with asyncio.timeout(tool.timeout):
                answer = await post_json(tool, "", {}, "k", resolve)
    assert answer.value == {"here": 1}


async def test_connection_that_is_never_accepted_is_a_timeout() -> None:
    with socket.socket() as deaf, socket.socket() as first:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        first.connect(deaf.getsockname())  # fills the queue of those who wait
        failed = None
        for _ in range(3):
            try:
                await run_of(tool_at(f"http://127.0.0.1:{deaf.getsockname()[1]}", timeout=0.2)).post(
                    "search", {}
                )
            except ToolFailed as error:
                failed = error
    assert failed is not None
    assert failed.cls == "timeout"

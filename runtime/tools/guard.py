"""Where tools may be: public addresses, and private ones only where the tool's `allow` lists them.

A host is resolved once, every address it has is checked, and the connection goes to one of those very addresses: a name
that answers differently the second time (DNS rebinding) gains nothing. Redirects are not followed at all.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

import httpcore2

from runtime.tools.failures import ToolFailed
from runtime.tools.spec import ToolSpec

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
# Gives the addresses of a host as text. Raises OSError if it has none.
Resolve = Callable[[str, int], Awaitable[list[str]]]

SIMULATOR = "{flaky_tools}"
LOOKUPS = 4  # of one host's name at a time
CONNECT = 3.0  # seconds after which a host's next address is tried; one that answers at all does so sooner

# Beside what `ipaddress` itself calls private or reserved; its list differs from one Python to the next.
_SPECIAL: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "168.63.129.16/32",  # Azure's host agent, which looks public
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fec0::/10",
    )
)
_PRIVATE: tuple[Network, ...] = tuple(
    ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
_AWS_METADATA = IPv6Address("fd00:ec2::254")
_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")


class Place(NamedTuple):
    """Where a request goes. `allow` are the private places it may go to."""

    url: str
    host: str
    port: int
    allow: tuple[str, ...]


def resolve_url(tool: ToolSpec) -> str:
    """The tool's base address, with the simulator's in place of a leading `{flaky_tools}`."""
    if not tool.url.startswith(SIMULATOR):
        return tool.url
    from django.conf import settings  # here: the rest of the gateway needs no Django

    return str(settings.CONVERGE_FLAKY_TOOLS_URL).rstrip("/") + tool.url.removeprefix(SIMULATOR)


def find_place(tool: ToolSpec, path: str = "") -> Place:
    """Where a request to `path` of the tool goes. Raises ToolFailed("refused") for an address no tool may have."""
    base = resolve_url(tool)
    parts = _split(tool, base)
    host, port = _host(tool, parts), _port(tool, parts)
    allow = tuple(tool.allow)
    if tool.url.startswith(SIMULATOR):
        if tool.url.removeprefix(SIMULATOR)[:1] not in ("", "/"):
            raise _refuse(tool, f"after {SIMULATOR} comes a path that begins with /")
        allow += (f"[{host}]:{port}" if ":" in host else f"{host}:{port}",)
    url = f"{base.rstrip('/')}/{path.lstrip('/')}" if path else base
    there = _split(tool, url)
    if (there.scheme, there.netloc) != (parts.scheme, parts.netloc):
        raise _refuse(tool, "its path changes its host")
    return Place(url, host, port, allow)


def _split(tool: ToolSpec, url: str) -> SplitResult:
    if any(ord(sign) <= 32 or sign == "\\" for sign in url):
        raise _refuse(tool, "its address holds characters that no address has")
    try:
        return urlsplit(url)
    except ValueError:
        raise _refuse(tool, "its address cannot be read") from None


def _host(tool: ToolSpec, parts: SplitResult) -> str:
    if parts.scheme not in ("http", "https"):
        raise _refuse(tool, "its address does not begin with http:// or https://")
    if "@" in parts.netloc:
        raise _refuse(tool, "its address holds a user name or password; name a secret instead")
    host = (parts.hostname or "").rstrip(".")
    if not host:
        raise _refuse(tool, "its address names no host")
    if not host.isascii() or "%" in host:
        raise _refuse(tool, "its host is not written in plain letters (write xn-- names)")
    last = host.rpartition(".")[2]
    if ":" not in host and (last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last)) and not _is_address(host):
        raise _refuse(tool, "its host is a number that is no plain IPv4 address")
    return host


def _port(tool: ToolSpec, parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError:
        raise _refuse(tool, "its address has no valid port") from None
    return port or (443 if parts.scheme == "https" else 80)


def _refuse(tool: ToolSpec, why: str) -> ToolFailed:
    return ToolFailed("refused", f"{tool.name} is not called: {why}.", tool=tool.name)


def check_address(text: str, place: Place) -> bool:
    """Whether a connection to this address is allowed.

    An `allow` entry that is an address or a network opens just that. One that is a name opens what is private and
    loopback, and no more: no listed name can lead to a cloud's metadata service.
    """
    address = _plain(ip_address(text))
    if is_public(address):
        return True
    for entry in place.allow:
        network = _network(entry, place.port)
        if network is not None:
            if address.version == network.version and address in network:
                return True
        elif _is_named(entry, place) and _is_ordinary_private(address):
            return True
    return False


def is_public(address: Address) -> bool:
    """Whether the address belongs to the public internet, and to one host there."""
    if any(address.version == network.version and address in network for network in _SPECIAL):
        return False
    return address.is_global and not (
        address.is_multicast
        or address.is_reserved
        or address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_unspecified
    )


def _plain(address: Address) -> Address:
    """The IPv4 address within an IPv6 one that only stands for it."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_ordinary_private(address: Address) -> bool:
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    if address == _AWS_METADATA:
        return False
    return address.is_loopback or any(
        address.version == network.version and address in network for network in _PRIVATE
    )


def _network(entry: str, port: int) -> Network | None:
    """The network that an `allow` entry stands for at this port, None if it is a name."""
    try:
        return ip_network(entry, strict=False)
    except ValueError:
        pass
    host, found = _split_entry(entry)
    if found not in (None, port) or not _is_address(host):
        return None
    return ip_network(host)


def _is_named(entry: str, place: Place) -> bool:
    host, port = _split_entry(entry)
    return host == place.host and port in (None, place.port)


def _split_entry(entry: str) -> tuple[str, int | None]:
    found = re.fullmatch(r"\[?([^\[\]]*?)\]?(?::(\d{1,5}))?", entry.strip().lower())
    if found is None:
        return "", None
    return found[1].rstrip("."), int(found[2]) if found[2] else None


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


async def resolve_host(host: str, port: int) -> list[str]:
    """All addresses of a host, by the system's resolver."""
    loop = asyncio.get_running_loop()
    found = await loop.run_in_executor(_lookups_of(host), _look_up, host, port)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@lru_cache(maxsize=256)
def _lookups_of(host: str) -> ThreadPoolExecutor:
    """Threads for one host alone. A lookup cannot be cancelled, and one that hangs outlives its call: in threads that
    all share, those of a dead name would keep every other tool waiting."""
    return ThreadPoolExecutor(LOOKUPS, "tool-lookups")


def _look_up(host: str, port: int) -> list[Any]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Opens connections for one tool: to the addresses that were checked, and to no other."""

    def __init__(self, tool: ToolSpec, place: Place, resolve: Resolve = resolve_host) -> None:
        self._tool, self._place, self._resolve = tool, place, resolve
        self._under = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore2 calls it so)
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        place = self._place
        if (host.rstrip(".").lower(), port) != (place.host, place.port):
            raise _refuse(self._tool, "it leads to another host")
        try:
            addresses = await self._resolve(host, port)
        except OSError:
            raise _unknown_host(self._tool) from None
        if not addresses:
            raise _unknown_host(self._tool)
        if not all(check_address(address, place) for address in addresses):
            raise _refuse(
                self._tool, "its address is private, and is not among those that this tool may be at"
            )
        *others, last = addresses
        share = self._share(len(others), timeout)
        for address in others:
            with suppress(httpcore2.ConnectError, httpcore2.ConnectTimeout):  # the next one of the same host
                return await self._under.connect_tcp(address, port, share, local_address, socket_options)
        return await self._under.connect_tcp(last, port, timeout, local_address, socket_options)

    def _share(self, others: int, timeout: float | None) -> float:
        """Seconds for each address but the last. Together they leave half the time to the one that answers."""
        most = self._tool.timeout if timeout is None else timeout
        return min(CONNECT, most / 2 / max(1, others))

    async def connect_unix_socket(self, *args: Any, **kwargs: Any) -> httpcore2.AsyncNetworkStream:
        raise _refuse(self._tool, "it is a socket of this machine")

    async def sleep(self, seconds: float) -> None:
        await self._under.sleep(seconds)


def _unknown_host(tool: ToolSpec) -> ToolFailed:
    return ToolFailed(
        "unreachable", f"{tool.name} cannot be found: the name of its host is not known.", tool=tool.name
    )

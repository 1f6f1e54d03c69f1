"""Hosts on one machine: network namespaces on a bridge, and wires between any two that can be cut and mended.

A cut says nothing to anybody, as a switch that lost its power does: packets vanish, connections stay open at both ends.
It is made of a neighbour entry that leads nowhere, so `ip` is all it takes, and one direction can be cut alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

NOWHERE = "02:00:00:00:00:01"  # an address that no interface has


class NoNamespaces(Exception):
    """This machine does not let us make hosts; the text says why."""


def why_not() -> str:
    """Why there can be no hosts here, "" if there can."""
    if os.name != "posix" or not os.path.isdir("/proc/sys/net"):
        return "network namespaces need Linux"
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program in ("ip", "unshare", "setpriv"):
        if shutil.which(program) is None:
            return f"the program `{program}` (iproute2, util-linux) is not installed"
    probe = Network(("probe",))
    try:
        probe.build()
        done = subprocess.run(
            probe.command_on("probe", ["true"]), capture_output=True, text=True, check=False
        )
        return f"a namespace can be made, and not entered: {done.stderr.strip()}" if done.returncode else ""
    except NoNamespaces as error:
        return str(error)
    finally:
        probe.remove()


class Network:
    """So many hosts, each with an address of its own, and this process on the bridge between them."""

    def __init__(self, names: Sequence[str]) -> None:
        number = os.getpid() % 64_000
        self._tag = f"cv{number}"
        self._subnet = f"10.{64 + number // 256 % 64}.{number % 256}"
        self.here = f"{self._subnet}.1"
        self.address = {name: f"{self._subnet}.{at}" for at, name in enumerate(names, 11)}
        self.cuts: set[tuple[str, str]] = set()  # (who sends, to whom)

    @property
    def range(self) -> str:
        """All their addresses."""
        return f"{self._subnet}.0/24"

    def build(self) -> None:
        """Makes hosts, bridge and wires. Raises NoNamespaces."""
        bridge = f"{self._tag}b"
        _ip("link", "add", bridge, "type", "bridge")
        _ip("addr", "add", f"{self.here}/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        for at, (name, address) in enumerate(self.address.items()):
            space, wire = self._space(name), f"{self._tag}w{at}"
            _ip("netns", "add", space)
            _ip("link", "add", wire, "type", "veth", "peer", "name", "eth0", "netns", space)
            _ip("link", "set", wire, "master", bridge, "up")
            _ip("-n", space, "addr", "add", f"{address}/24", "dev", "eth0")
            _ip("-n", space, "link", "set", "lo", "up")
            _ip("-n", space, "link", "set", "eth0", "up")

    def remove(self) -> None:
        """Takes all of it away; what is not there is not missed."""
        for name in self.address:
            subprocess.run(["ip", "netns", "del", self._space(name)], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", f"{self._tag}b"], capture_output=True, check=False)

    def command_on(self, name: str, command: Sequence[str]) -> list[str]:
        """The command, run on that host: its network, and its name."""
        entered = f'hostname {name} && exec "$@"'
        return [
            *("ip", "netns", "exec", self._space(name)),
            *("unshare", "--uts", "sh", "-c", entered, "sh"),
            *command,
        ]

    def cut(self, one: str, other: str, both_ways: bool = True) -> None:
        """What `one` sends to `other` is lost from now on; and, `both_ways`, what comes back."""
        for sender, receiver in ((one, other), (other, one)) if both_ways else ((one, other),):
            where = self._neighbour(sender, receiver)
            _ip(*where[:3], "replace", *where[3:], "lladdr", NOWHERE, "nud", "permanent")
            self.cuts.add((sender, receiver))

    def heal(self) -> None:
        """Mends every wire."""
        for sender, receiver in self.cuts:
            where = self._neighbour(sender, receiver)
            _ip(*where[:3], "del", *where[3:])
        self.cuts.clear()

    def is_cut(self, one: str, other: str) -> bool:
        """Whether something is lost between the two."""
        return (one, other) in self.cuts or (other, one) in self.cuts

    def _neighbour(self, sender: str, receiver: str) -> tuple[str, ...]:
        return ("-n", self._space(sender), "neigh", self.address[receiver], "dev", "eth0")

    def _space(self, name: str) -> str:
        return f"{self._tag}-{name}"


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoNamespaces(f"ip {' '.join(arguments)}: {done.stderr.strip()}")

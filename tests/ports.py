"""Ports for servers that are told theirs: nobody else is given them, neither another test process nor a connection.

A port that the system found free and that was closed again may be given to the next who asks, and a second test process
asks all the time. So each process claims a block of ports by holding the first of them, and hands out the others in
turn. The blocks lie below the range from which systems take ports for outgoing connections.
"""

from __future__ import annotations

import socket
from functools import cache

_BLOCKS = range(20_000, 32_000, 200)


def take_ports(count: int = 1) -> list[int]:
    """So many ports in a row on which nobody listens. They come round again only after all others of the block."""
    block = _claim_block()
    for _ in range(2 * len(_BLOCKS)):
        ports = block.next(count)
        if all(_is_free(port) for port in ports):
            return ports
    raise RuntimeError(f"No {count} free ports in a row from {block.start} to {block.start + _BLOCKS.step}.")


def take_port() -> int:
    """One of them."""
    return take_ports()[0]


class _Block:
    """The ports after `start`, which `guard` holds for as long as this process lives."""

    def __init__(self, start: int, guard: socket.socket) -> None:
        self.start = start
        self._guard = guard
        self._given = 0

    def next(self, count: int) -> list[int]:
        if self._given + count >= _BLOCKS.step:
            self._given = 0
        first = self.start + self._given + 1
        self._given += count
        return list(range(first, first + count))


@cache
def _claim_block() -> _Block:
    for start in _BLOCKS:
        guard = socket.socket()
        try:
            guard.bind(("127.0.0.1", start))
        except OSError:
            guard.close()
        else:
            return _Block(start, guard)
    raise RuntimeError(f"Each block of ports from {_BLOCKS.start} to {_BLOCKS.stop} is claimed.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers ask for it: a connection that lingers from an earlier one is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True

"""Where the simulator of flaky tools is. Read by the settings, so it imports nothing of the project."""

from __future__ import annotations

from urllib.parse import urlsplit

LOOPBACK = {"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "::1": "::1"}


def address_beside(port: int) -> str:
    """The simulator's address where none is set: the port after the one that `up` serves on."""
    return f"http://127.0.0.1:{port + 1 if port < 65535 else port - 1}"


def read_address(text: str) -> str:
    """An address `http://host:port` as it was given. Raises ValueError if it is none."""
    parts = urlsplit(text)
    if not parts.hostname or not parts.port or text != f"http://{parts.netloc}" or "@" in parts.netloc:
        raise ValueError(f"{text[:100]!r} is no http://host:port")
    return text


def listening_place(address: str) -> tuple[str, int] | None:
    """Host and port to listen on for `address`; None if it is not on this machine, where no simulator may be served."""
    parts = urlsplit(address)
    host = LOOPBACK.get(parts.hostname or "")
    return (host, parts.port) if host and parts.port else None

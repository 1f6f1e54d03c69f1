"""Whether a tool that somebody typed, or that code declares, can be: each refusal names the field and the way out.

What may be a secret that was typed in the wrong place is refused without being said again: no message here holds
what was typed as an address, a variable's name, a header's name or a prefix.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from runtime.actions.refusals import Refused
from runtime.actions.texts import check_text, shorten
from runtime.tools.guard import SIMULATOR
from runtime.tools.spec import KINDS, ToolSpec

MOST_ALLOWED = 50
LONGEST_URL = 500


@dataclass(frozen=True, slots=True)
class Limit:
    """From which number to which a setting may go."""

    low: float
    high: float
    unit: str = ""
    is_whole: bool = False

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return f"{_number(self.low)} to {_number(self.high)}{unit}"


LIMITS: dict[str, Limit] = {
    "timeout": Limit(0.1, 300, "seconds"),
    "attempts": Limit(1, 10, is_whole=True),
    "backoff": Limit(0, 60, "seconds"),
    "backoff_max": Limit(0, 300, "seconds"),
    "jitter": Limit(0, 1),
    "failure_threshold": Limit(1, 1_000, is_whole=True),
    "window": Limit(1, 3_600, "seconds"),
    "open_seconds": Limit(1, 3_600, "seconds"),
    "open_max": Limit(1, 86_400, "seconds"),
    "probes": Limit(1, 100, is_whole=True),
    "concurrency": Limit(1, 1_000, is_whole=True),
    "max_bytes": Limit(1_000, 50_000_000, "bytes", is_whole=True),
    "price_in": Limit(0, 10_000),
    "price_out": Limit(0, 10_000),
}

OWN_VARIABLES = ("CONVERGE_", "DJANGO_")  # whose values are the service's own secrets
OWN_HEADERS = frozenset(
    {
        *("accept", "accept-encoding", "connection", "content-encoding", "content-length", "content-type"),
        *("expect", "host", "idempotency-key", "keep-alive", "mcp-protocol-version", "mcp-session-id"),
        *("proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
        "user-agent",
    }
)
WIDEST = {4: 8, 6: 7}  # the shortest prefix of a network that may be allowed, by version

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,49}\Z")
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_-]+)*\.?\Z")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,99}\Z")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}\Z")
_PREFIX = re.compile(r"([A-Za-z][A-Za-z-]{0,19}[:=]?)? ?\Z")
# Keys as well-known services make them, and JSON web tokens.
_KEYS = re.compile(
    r"(?<![A-Za-z0-9])(sk-[A-Za-z0-9_-]{12,}|[sr]k_(live|test)_\w{8,}|gh[opsur]_\w{16,}|github_pat_\w{16,}"
    r"|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}|hf_[A-Za-z0-9]{16,}|AIza[\w-]{20,}|(AKIA|ASIA)[A-Z0-9]{12,}"
    r"|eyJ[\w-]{8,}\.[\w-]{8,})"
)


class NotKept(Refused):
    """A refusal of what may be a secret. Whoever shows it must not show what was typed."""

    def __init__(self, field: str, why: str = "This looks like a secret itself.") -> None:
        super().__init__(
            f"{why} What was typed was not kept. A secret stays out of here: put it into an environment variable where "
            "the workers run, and give the name of that variable, such as SEARCH_TOKEN.",
            field=field,
        )


def check_tool(tool: ToolSpec, title: str = "", description: str = "") -> None:
    """Raises Refused with the field at fault."""
    check_no_key("name", tool.name)
    if not _NAME.match(tool.name):
        raise Refused(
            "Give the tool a name of letters, digits, - and _, a letter or digit first, at most 50 characters.",
            field="name",
        )
    texts = (("title", title, 200), ("description", description, 2_000), ("model", tool.model, 200))
    for field, text, most in texts:
        check_no_key(field, text)
        check_text(field, text, most)
    if tool.kind not in KINDS:
        raise Refused(f"There is no kind {tool.kind!r}; kinds are {', '.join(KINDS)}.", field="kind")
    check_url(tool.url)
    _check_model(tool)
    for name, limit in LIMITS.items():
        _check_number(name, getattr(tool, name), limit)
    if tool.open_max < tool.open_seconds:
        raise Refused(
            f"The breaker stays open for {tool.open_seconds:,g} seconds at first; "
            f"give at least as many here, not {tool.open_max:,g}.",
            field="open_max",
        )
    check_allowed(tool.allow)
    _check_secret(tool)


def check_url(url: str) -> None:
    """Raises Refused unless `url` is the base address of a tool: http or https, a host, a path at most."""
    check_no_key("url", url)
    if "@" in url:
        raise NotKept(
            "url", "The address holds an @, as if a name or password stood before it; a path has %40."
        )
    if "?" in url or "#" in url:
        raise NotKept("url", "The address ends with a path; leave out what follows ? or #.")
    if not url:
        raise Refused(
            f"Give the address, such as https://api.example.org/v1 or {SIMULATOR}/search.", field="url"
        )
    if len(url) > LONGEST_URL:
        raise Refused(f"The address has {len(url):,} characters; the limit is {LONGEST_URL}.", field="url")
    if not (url.isascii() and url.isprintable()) or set(url) & set(' \\"<>^`|'):
        raise Refused(
            "The address holds a character that addresses cannot have; write others than ASCII as %xx, and an "
            "international host name in its xn-- form.",
            field="url",
        )
    rest = url.removeprefix(SIMULATOR)
    is_simulator = rest != url
    if set(rest) & set("{}"):
        raise Refused(f"Only {SIMULATOR} may stand in braces, at the beginning of the address.", field="url")
    if is_simulator and rest and not rest.startswith("/"):
        raise Refused(f"After {SIMULATOR} comes a path that begins with /.", field="url")
    _check_parts(f"http://simulator{rest}" if is_simulator else url)


def _check_parts(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise Refused("This is no address: its host or its port cannot be read.", field="url") from None
    if parts.scheme not in ("http", "https"):
        raise Refused("The address must begin with http:// or https://.", field="url")
    if not _is_host(host) or port == 0:
        raise Refused("The address names no host that can be called.", field="url")


def _check_model(tool: ToolSpec) -> None:
    if tool.kind == "llm" and not tool.model.strip():
        raise Refused("Name the model that is asked, such as gpt-4o-mini.", field="model")
    if tool.kind != "llm" and tool.model:
        raise Refused(f"A tool of kind {tool.kind} has no model; leave it empty.", field="model")


def _check_number(name: str, value: object, limit: Limit) -> None:
    kinds = (int,) if limit.is_whole else (int, float)
    if type(value) not in kinds or not limit.low <= value <= limit.high:  # type: ignore[operator]
        what = "a whole number" if limit.is_whole else "a number"
        said = name.replace("_", " ")
        raise Refused(f"The {said} is {shorten(repr(value), 40)}; give {what} from {limit}.", field=name)


def check_allowed(entries: Sequence[str]) -> None:
    """Raises Refused, naming the entry at fault, unless each is a host, host:port, or a network."""
    for entry in entries:
        check_no_key("allow", str(entry))
        if "@" in str(entry):
            raise NotKept("allow", "An entry holds an @, which no host has.")
    if len(entries) > MOST_ALLOWED:
        raise Refused(
            f"There are {len(entries):,} entries; the limit is {MOST_ALLOWED}. A network covers many hosts.",
            field="allow",
        )
    for entry in entries:
        wrong = _fault_of_entry(entry)
        if wrong:
            raise Refused(f"The entry {shorten(str(entry), 60)!r} {wrong}.", field="allow")


def _fault_of_entry(entry: object) -> str:
    """What is wrong with one entry of `allow`, in words that follow it, or ""."""
    if not isinstance(entry, str) or not entry:
        return "is no text; write a host, host:port or a network"
    if "/" in entry:
        return _fault_of_network(entry)
    if _is_host(entry):
        return ""
    host, _, port = entry.rpartition(":")
    in_brackets = host.startswith("[") and host.endswith("]")
    if not (_is_address(host[1:-1]) if in_brackets else _is_host(host)):
        return "is neither a host, such as search.internal, nor host:port, nor a network, such as 10.1.0.0/16"
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65_535):
        return "has no port from 1 to 65535 after its colon"
    return ""


def _fault_of_network(entry: str) -> str:
    try:
        written = ipaddress.ip_interface(entry)
    except ValueError:
        return "is no network; write one like 10.1.0.0/16, and hosts without a scheme or path"
    network = written.network
    if written.ip != network.network_address:
        return f"names a host within a network; write {network} for the network"
    if network.prefixlen < WIDEST[network.version]:
        return f"is wider than /{WIDEST[network.version]}; name the networks that the tool may be in"
    return ""


def _is_host(text: str) -> bool:
    """Whether it is an IP address or a name; 127.1 and 0x7f.1 are neither, though some resolvers disagree."""
    last = text.rstrip(".").rpartition(".")[2].lower()
    is_number = last.isdigit() or re.fullmatch("0x[0-9a-f]*", last) is not None
    return _is_address(text) or (_HOST.match(text) is not None and not is_number)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text  # no zones: they name an interface of one machine


def _check_secret(tool: ToolSpec) -> None:
    if tool.secret_env:
        check_variable(tool.secret_env)
        if not tool.secret_header:
            raise Refused(
                "Name the header that carries the secret, such as Authorization.", field="secret_header"
            )
    check_header(tool.secret_header)
    check_prefix(tool.secret_prefix)


def check_variable(name: str) -> None:
    """Raises Refused unless `name` may name the variable of a secret; says it again only if it cannot be one itself."""
    if not name:
        return
    if looks_like_secret(name):
        raise NotKept("secret_env")
    if not _VARIABLE.match(name):
        raise NotKept(
            "secret_env",
            "This is no name of an environment variable: those have capital letters, digits and _, a letter first.",
        )
    if name.startswith(OWN_VARIABLES):
        raise Refused(
            f"{name} belongs to this service itself and goes to no tool; use a variable of the tool's own.",
            field="secret_env",
        )


def check_header(name: str) -> None:
    """Raises Refused unless `name` is empty, or a header that may carry a secret."""
    if not name:
        return
    if not _HEADER.match(name) or looks_like_secret(name):
        raise NotKept(
            "secret_header", "This is no name of a header: those are words with dashes, such as X-Api-Key."
        )
    if name.lower() in OWN_HEADERS:
        raise Refused(
            f"The header {name} is set by the service itself; a secret goes into another, such as Authorization.",
            field="secret_header",
        )


def check_prefix(text: str) -> None:
    """Raises Refused unless `text` is empty or one word that stands before a secret."""
    if not _PREFIX.match(text) or looks_like_secret(text.strip()):
        raise NotKept(
            "secret_prefix",
            "The prefix is a word before the secret, such as `Bearer ` or `Token `, or empty.",
        )


def check_no_key(field: str, text: str) -> None:
    """Raises NotKept if a key of a known form stands anywhere in `text`."""
    if _KEYS.search(text):
        raise NotKept(field)


def looks_like_secret(text: str) -> bool:
    """Whether `text`, given as a name, is more likely a secret: a key of a known form, the value of a variable that is
    set here, or a long run of letters and digits."""
    if text in os.environ:
        return False
    if _KEYS.search(text) or (len(text) >= 8 and text in os.environ.values()):
        return True
    runs = re.findall("[A-Za-z0-9]{16,}", text)
    return any(len(run) > 32 or any(sign.isdigit() for sign in run) for run in runs)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"

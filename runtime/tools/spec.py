"""A tool as whoever calls it sees it: where it is, how long to wait for it, and when to leave it alone."""

from __future__ import annotations

from dataclasses import dataclass

KINDS = ("http", "llm", "mcp")


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """An external dependency that is expected to fail (D5.1). Times are seconds; prices are per million tokens.

    `url` is the base address; one that begins with `{flaky_tools}` means the simulator of this installation. An
    attempt takes at most `timeout`; of `attempts` the second comes after `backoff`, each further one after twice as
    long, never longer than `backoff_max`, and `jitter` (0..1) is the share of a wait that is left to chance. The
    breaker opens after `failure_threshold` failures within `window`, stays open for `open_seconds`, twice as long
    after each probe that failed (at most `open_max`), and then lets `probes` calls through at a time; as many
    successes close it. `concurrency` is how many calls all runtimes together may have under way. `allow` lists the
    private hosts and networks it may be at: `host`, `host:port` or `10.0.0.0/8`. `secret_env` is the *name* of the
    environment variable that holds its secret, sent as `secret_header: secret_prefix + secret`.
    """

    name: str
    kind: str = "http"
    url: str = ""
    model: str = ""
    timeout: float = 10.0
    attempts: int = 3
    backoff: float = 0.5
    backoff_max: float = 10.0
    jitter: float = 0.25
    failure_threshold: int = 5
    window: float = 60.0
    open_seconds: float = 15.0
    open_max: float = 300.0
    probes: int = 1
    concurrency: int = 4
    allow: tuple[str, ...] = ()
    secret_env: str = ""
    secret_header: str = "Authorization"
    secret_prefix: str = "Bearer "
    max_bytes: int = 1_000_000
    price_in: float = 0.0
    price_out: float = 0.0
    enabled: bool = True

"""The one settings module: read from the environment, and loud about what it cannot use.

| variable | meaning | default |
|---|---|---|
| CONVERGE_HOME | database, sockets, logs, secret key | `var/` beside manage.py |
| CONVERGE_DATABASE_URL | database | SQLite under CONVERGE_HOME |
| CONVERGE_REDIS_URL | Redis or Valkey | a server that `up` starts under CONVERGE_HOME |
| CONVERGE_PORT | where `up` serves | 8000 |
| CONVERGE_ORIGINS | public addresses, e.g. `https://converge.example.org`, comma-separated | this machine only |
| CONVERGE_URL | the address in the links that are sent | the first of CONVERGE_ORIGINS, else this machine |
| CONVERGE_EMAIL_URL | mail server, e.g. `smtp://user:password@host:587` | no email is sent |
| CONVERGE_EMAIL_FROM | who email is from | `converge@` the host of the address above |
| CONVERGE_PRECEDENTS_AFTER | decisions alike in a row after which a rule is proposed; 0 for never | 5 |
| CONVERGE_SECRET_KEY | signs sessions and links; the same on every host | made under CONVERGE_HOME |
| CONVERGE_SIGNING_KEY_FILE | the Ed25519 key that signs records; the same on every host | made under CONVERGE_HOME |
| CONVERGE_DEBUG | 1 shows tracebacks on pages | 0 |
| CONVERGE_FLAKY_TOOLS_URL | where the simulator of flaky tools is | the port after CONVERGE_PORT, on this machine |
| CONVERGE_LEASE_SECONDS | how long a runtime that says nothing keeps a job; the same on every host | 15 |
| CONVERGE_RECONCILE_SECONDS | pause between two rounds of the scheduler | 2 |
| CONVERGE_GRACE_SECONDS | what a process that is asked to stop may take to finish what it is in the middle of | 10 |
| CONVERGE_FAILPOINTS | makes processes die or stumble in named places, for tests (runtime/failpoints.py) | none |
"""

import math
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from converge_site.home import checks_a_file, locate_redis_socket, open_home, read_secret_key, socket_url
from converge_site.mail_server import MailServer, read_mail_server, read_sender
from converge_site.sqlite import use_sound_sqlite
from converge_site.whole_numbers import read_whole
from runtime import failpoints
from runtime.flaky_address import address_beside, read_address

use_sound_sqlite()

BASE_DIR = Path(__file__).resolve().parent.parent


def _read_flag(name: str) -> bool:
    value = os.environ.get(name, "0")
    if value not in ("", "0", "1"):
        raise ImproperlyConfigured(f"{name} must be 0 or 1, not {value!r}.")
    return value == "1"


def _read_port() -> int:
    value = os.environ.get("CONVERGE_PORT") or "8000"
    port = read_whole(value, most=65535)
    if not port:
        raise ImproperlyConfigured(f"CONVERGE_PORT must be a number from 1 to 65535, not {value[:40]!r}.")
    return port


def _read_precedents_after() -> int:
    value = os.environ.get("CONVERGE_PRECEDENTS_AFTER") or "5"
    count = read_whole(value, most=1000)
    if count is None:
        raise ImproperlyConfigured(
            f"CONVERGE_PRECEDENTS_AFTER must be a number from 0 to 1000, not {value[:40]!r}."
        )
    return count


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
    return is_web and "@" not in text and text == f"{parts.scheme}://{parts.netloc}"


def _read_seconds(name: str, default: float, least: float, most: float) -> float:
    text = os.environ.get(name) or str(default)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not least <= seconds <= most:  # as no NaN is
        raise ImproperlyConfigured(f"{name} must be seconds from {least:g} to {most:g}, not {text[:40]!r}.")
    return seconds


def _read_origins() -> list[str]:
    """CONVERGE_URL, if it is set, and then the other public addresses."""
    origins = [part.strip() for part in os.environ.get("CONVERGE_ORIGINS", "").split(",") if part.strip()]
    for origin in origins:
        if not _is_origin(origin):
            raise ImproperlyConfigured(
                f"CONVERGE_ORIGINS holds {origin!r}; each must be scheme://host or scheme://host:port, no more."
            )
    url = os.environ.get("CONVERGE_URL", "").strip().rstrip("/")
    if not url:
        return origins
    if not _is_origin(url):
        raise ImproperlyConfigured("CONVERGE_URL must be scheme://host or scheme://host:port, no more.")
    return [url, *(origin for origin in origins if origin != url)]


def _read_database(home: Path) -> dict[str, Any]:
    url = os.environ.get("CONVERGE_DATABASE_URL") or f"sqlite:///{home / 'converge.sqlite3'}"
    try:
        database: dict[str, Any] = dict(dj_database_url.parse(url))
    except (ValueError, KeyError) as error:
        # The URL may hold a password, so it is not repeated.
        raise ImproperlyConfigured("CONVERGE_DATABASE_URL is no database URL, e.g. postgres://...") from error
    if database["ENGINE"].endswith("sqlite3"):
        if database["NAME"] in ("", ":memory:"):
            raise ImproperlyConfigured(
                "CONVERGE_DATABASE_URL: several processes share the database; name a file."
            )
        database["NAME"] = str(BASE_DIR / database["NAME"])
        return database | SQLITE_OPTIONS | {"TEST": {"NAME": str(home / "test.sqlite3")}}
    if database["ENGINE"].endswith("postgresql"):
        given = database.get("OPTIONS", {})
        # Of two words about one setting the server takes the later: the URL's.
        session = " ".join(filter(None, (POSTGRES_SESSION, given.get("options", ""))))
        database["OPTIONS"] = POSTGRES_OPTIONS | given | {"options": session}
        return database
    raise ImproperlyConfigured("CONVERGE_DATABASE_URL: Converge runs on SQLite and PostgreSQL.")


def _read_redis_url() -> str | None:
    url = os.environ.get("CONVERGE_REDIS_URL") or None
    if url and not url.startswith(("redis://", "rediss://", "unix://")):
        raise ImproperlyConfigured("CONVERGE_REDIS_URL must begin with redis://, rediss:// or unix://.")
    return url


def _read_mail_server() -> MailServer:
    try:
        return read_mail_server(os.environ.get("CONVERGE_EMAIL_URL") or "")
    except ValueError as error:
        raise ImproperlyConfigured(f"CONVERGE_EMAIL_URL: {error}.") from None


def _read_sender() -> str:
    sender = os.environ.get("CONVERGE_EMAIL_FROM") or ""
    host = urlsplit(CONVERGE_ORIGINS[0]).hostname if CONVERGE_ORIGINS else "localhost"
    if not sender and (not _mail.host or host != "localhost"):
        sender = f"converge@{host}" if CONVERGE_SENDS_EMAIL else "converge@localhost"
    try:
        return read_sender(sender)
    except ValueError as error:
        raise ImproperlyConfigured(f"CONVERGE_EMAIL_FROM: {error}.") from None


def _read_flaky_tools_url() -> str:
    url = os.environ.get("CONVERGE_FLAKY_TOOLS_URL") or address_beside(CONVERGE_PORT)
    try:
        return read_address(url)
    except ValueError as error:
        raise ImproperlyConfigured(f"CONVERGE_FLAKY_TOOLS_URL: {error}.") from error


def _arm_failpoints() -> None:
    try:
        failpoints.arm(failpoints.read_failpoints(os.environ.get("CONVERGE_FAILPOINTS", "")))
    except ValueError as error:
        raise ImproperlyConfigured(f"CONVERGE_FAILPOINTS: {error}.") from error


# Four processes that read, then write: DEFERRED gave 405 commits/s and 83,593 "locked"; IMMEDIATE 4,633/s and
# none. FULL because the journal is the truth: NORMAL may lose commits that were acknowledged at a power loss.
SQLITE_OPTIONS: dict[str, Any] = {
    "OPTIONS": {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,  # seconds to wait for another writer
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-32768;",
    },
}

# A host that is cut off tells nobody, and Linux would wait 15 minutes for what it sent to be acknowledged, and two
# hours before it asks after a silent peer. Both ends ask after 5 s and give up after 10: within a lease (15 s), so a
# runtime that cannot reach the database knows by the time another may claim its job. Unix sockets need none of it.
POSTGRES_OPTIONS: dict[str, Any] = {
    "connect_timeout": 3,  # /healthz and the pages say so in seconds
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # ms
}
# The server's end of the same connection. Whoever is cut off, or stopped, in the middle of a transaction keeps its
# job's row locked, and who claims that job next would wait as long: no transaction here waits for anything, so one that
# stands still for 10 s is ended. Nobody waits longer for a lock than for SQLite's one writer.
POSTGRES_SESSION = " ".join(
    f"-c {setting}"
    for setting in (
        "tcp_keepalives_idle=5",
        "tcp_keepalives_interval=2",
        "tcp_keepalives_count=3",
        "tcp_user_timeout=10s",
        "idle_in_transaction_session_timeout=10s",
        "lock_timeout=20s",
    )
)

# Whoever checks a bundle needs no installation: nothing is made, and no home needs to be there.
_is_offline = checks_a_file(sys.argv)
_home = Path(os.environ.get("CONVERGE_HOME") or BASE_DIR / "var").expanduser().resolve()
CONVERGE_HOME = _home if _is_offline else open_home(_home)
CONVERGE_PORT = _read_port()
CONVERGE_ORIGINS = _read_origins()
_given_redis_url = _read_redis_url()
# None: somebody else runs Redis; `up` starts one on this socket otherwise.
CONVERGE_REDIS_SOCKET = None if _given_redis_url else locate_redis_socket(CONVERGE_HOME)
CONVERGE_REDIS_URL = _given_redis_url or socket_url(locate_redis_socket(CONVERGE_HOME))
CONVERGE_FLAKY_TOOLS_URL = _read_flaky_tools_url()
CONVERGE_PRECEDENTS_AFTER = _read_precedents_after()


_arm_failpoints()

# How long a runtime that says nothing keeps its job: so long after a kill -9 another takes it up. It is renewed three
# times a lease (runtime/lease.py), so that one renewal may fail and another be slow. Under 3 s a database that is busy
# for a second costs leases, and work is done twice; over 5 min a killed worker's jobs would seem forgotten. 15 s, and a
# round of the scheduler, keep what is promised: on one machine a dead worker's jobs go on within 20 s.
CONVERGE_LEASE_SECONDS = _read_seconds("CONVERGE_LEASE_SECONDS", 15, 3, 300)
# A round asks what is due and not queued: a few ms, so every 2 s costs nothing. It bounds what a lost message costs,
# and how late a recovering job's time is noticed. Under 0.2 s it would compete with the writers of SQLite.
CONVERGE_RECONCILE_SECONDS = _read_seconds("CONVERGE_RECONCILE_SECONDS", 2, 0.2, 60)
# Asked to stop (SIGTERM, Ctrl-C), a worker finishes its cycle and the web process answers what it was asked, within
# this; then the worker hands its job over as of the last commit. Under docker's or systemd's own patience (10, 90 s)
# there must be some left: give them this and 5 s more.
CONVERGE_GRACE_SECONDS = _read_seconds("CONVERGE_GRACE_SECONDS", 10, 1, 600)

_signing_key_file = os.environ.get("CONVERGE_SIGNING_KEY_FILE") or None
# None: runtime/signing.py makes one in the home.
CONVERGE_SIGNING_KEY_FILE = Path(_signing_key_file).expanduser().resolve() if _signing_key_file else None

DEBUG = _read_flag("CONVERGE_DEBUG")
SECRET_KEY = os.environ.get("CONVERGE_SECRET_KEY") or ("-" if _is_offline else read_secret_key(CONVERGE_HOME))

# Addresses. Any other Host header is refused, which also stops DNS rebinding against a local installation.
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]", *(urlsplit(o).hostname or "" for o in CONVERGE_ORIGINS)]
CSRF_TRUSTED_ORIGINS = CONVERGE_ORIGINS
_only_https = bool(CONVERGE_ORIGINS) and all(origin.startswith("https://") for origin in CONVERGE_ORIGINS)

# daphne is not among the apps: it would only add `runserver`, and loads Twisted into every command and worker.
INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "django_htmx",
    "runtime",
    "converge_site",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "converge_site.security.content_security_policy",
    "converge_site.readable.ReadableRequests",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "converge_site.urls"
ASGI_APPLICATION = "converge_site.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "converge_site.context_processors.page_frame",
            ],
        },
    },
]

DATABASES = {"default": _read_database(CONVERGE_HOME)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Hints from workers to pages. The pub/sub layer, for the core layer drops silently past 100 messages a channel.
# redis-py 8 times sockets out after 5 s, which would cut an idle subscription: None.
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "hosts": [
                {"address": CONVERGE_REDIS_URL, "socket_timeout": None, "socket_connect_timeout": 1},
            ],
            "prefix": "converge",
        },
    },
}

# People
LOGIN_URL = "/sign-in/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/sign-in/"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# Cookies do not tell ports apart: two installations on one machine would sign each other out.
SESSION_COOKIE_NAME = f"converge_session_{CONVERGE_PORT}"
CSRF_COOKIE_NAME = f"converge_csrf_{CONVERGE_PORT}"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = _only_https
CSRF_COOKIE_SECURE = _only_https
CSRF_FAILURE_VIEW = "converge_site.views.errors.csrf_failed"

# Headers
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SECURE_HSTS_SECONDS = 31_536_000 if _only_https else 0
# TLS ends at a proxy in front, which must set this header itself (README).
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _only_https else None

# Uploads: seeds are counted and measured again by the submission itself.
DATA_UPLOAD_MAX_MEMORY_SIZE = 32 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024

# Files are served from where they lie, with a check on every use: no build step, and never a stale script
# beside a new page.
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
WHITENOISE_MAX_AGE = 0
WHITENOISE_ALLOW_ALL_ORIGINS = False

# Email: digests of notices. A mail server that hangs must not hold up more than the letter under way.
_mail = _read_mail_server()
CONVERGE_SENDS_EMAIL = bool(os.environ.get("CONVERGE_EMAIL_URL"))
DEFAULT_FROM_EMAIL = SERVER_EMAIL = _read_sender()
EMAIL_BACKEND = _mail.backend
EMAIL_HOST, EMAIL_PORT = _mail.host, _mail.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail.user, _mail.password
EMAIL_USE_SSL, EMAIL_USE_TLS = _mail.tls, _mail.starttls
EMAIL_FILE_PATH = _mail.directory
EMAIL_TIMEOUT = 10  # seconds

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

UNFOLD = {"SITE_TITLE": "Converge admin", "SITE_HEADER": "Converge", "SITE_URL": "/"}

# To stderr; `up` gives each child a file of its own under CONVERGE_HOME/logs and repeats problems.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        # Django's own handlers are dropped, or each line would come twice.
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "django.server": {"handlers": [], "level": "INFO", "propagate": True},
        # A page that does not exist is the visitor's problem, not the operator's.
        "django.request": {"level": "ERROR"},
        # A line a job is noise: the journal tells what a job did.
        "rq": {"level": "WARNING"},
        "rq.worker": {"level": "WARNING"},
    },
}

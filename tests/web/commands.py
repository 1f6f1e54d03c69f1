"""`python -m tests.web.commands`: a process that runs commands of manage.py one after another.

A line of stdin is the command as a JSON list; a line of stdout is `[status, what it wrote to stdout, to stderr]`.
To start Django takes a second, and journeys give dozens of commands.
"""

from __future__ import annotations

import io
import json
import os
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout


def run(command: list[str]) -> tuple[int, str, str]:
    """What `manage.py` with these arguments would end with and say."""
    from django.core.management import execute_from_command_line
    from django.db import connections

    status, out, err = 0, io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            execute_from_command_line(["manage.py", *command])
        except SystemExit as end:
            status = int(end.code or 0)
        except Exception:
            status = 1
            traceback.print_exc()
        finally:
            connections.close_all()
    return status, out.getvalue(), err.getvalue()


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "converge_site.settings")
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()

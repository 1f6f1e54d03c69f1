"""Chooses the SQLite that Django uses.

SQLite 3.7.0 to 3.51.2 can corrupt a WAL database when a checkpoint resets the log while another connection
reads it (fixed in 3.51.3). Converge keeps its journal in WAL mode with several processes on it, so the
library bundled with Python is used only if it is newer; otherwise `pysqlite3`, which brings its own.
`runtime.checks` refuses to go on if neither is good.
"""

import sqlite3
import sys

FIRST_SOUND_VERSION = (3, 51, 3)


def use_sound_sqlite() -> None:
    """Puts `pysqlite3` in place of `sqlite3` where that is needed and possible.

    Must run before Django opens its first SQLite backend: settings.py calls it on its first lines.
    """
    if sqlite3.sqlite_version_info >= FIRST_SOUND_VERSION:
        return
    try:
        import pysqlite3
        from pysqlite3 import dbapi2
    except ImportError:
        return
    sys.modules["sqlite3"] = pysqlite3
    sys.modules["sqlite3.dbapi2"] = dbapi2

"""The same tables come up on a real PostgreSQL."""

import os
import subprocess
import sys
from pathlib import Path

from django.conf import settings


def run_manage(home: Path, database_url: str, *arguments: str) -> str:
    run = subprocess.run(
        [sys.executable, str(Path(settings.BASE_DIR) / "manage.py"), *arguments],
        env=os.environ | {"CONVERGE_HOME": str(home), "CONVERGE_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_migrations_run_on_postgresql(postgres_url: str, tmp_path: Path) -> None:
    run_manage(tmp_path, postgres_url, "migrate", "--no-input", "--verbosity", "0")
    assert "[ ]" not in run_manage(tmp_path, postgres_url, "showmigrations", "runtime")
    assert "/sign-in/" in run_manage(tmp_path, postgres_url, "sign_in_link")

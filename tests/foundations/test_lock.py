"""The locks pin everything and say nothing about where it comes from."""

import re
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
PINNED = re.compile(r"[a-z0-9.-]+(\[[a-z0-9,-]+\])?==[0-9][^\s;]*( ; .+)?")


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-bench.lock"])
def test_lock_pins_versions_and_names_no_host(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    pins = [line for line in lines if line and not line.lstrip().startswith("#")]
    assert len(pins) > 50
    assert [line for line in pins if not PINNED.fullmatch(line)] == []
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host|file:", "\n".join(lines))


def test_lock_holds_every_dependency_of_the_project() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["test"]
    names = {re.split(r"[\[<>=;~! ]", entry)[0].lower().replace("_", "-") for entry in wanted}
    locked = {re.split(r"[\[=]", line)[0] for line in (ROOT / "requirements.lock").read_text().splitlines()}
    assert names - locked == set()

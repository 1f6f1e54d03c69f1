"""The engine is a library of values: no Django, no clock, no randomness, no I/O (D11, D2.4)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

ENGINE = Path(settings.BASE_DIR) / "runtime" / "engine"
MODULES = sorted(ENGINE.rglob("*.py"))

# Everything else is refused: a new clock or client cannot slip in under a name nobody thought of.
ALLOWED_IMPORTS = {
    *(
        "__future__",
        "abc",
        "bisect",
        "collections",
        "copy",
        "dataclasses",
        "decimal",
        "enum",
        "fractions",
        "functools",
    ),
    *(
        "hashlib",
        "heapq",
        "itertools",
        "json",
        "math",
        "numbers",
        "operator",
        "re",
        "string",
        "types",
        "typing",
    ),
    *("cel", "jsonschema_rs", "orjson", "typing_extensions"),
}
# `hash` of a text differs from process to process, `id` from run to run.
REFUSED_CALLS = {
    "open",
    "print",
    "input",
    "breakpoint",
    "exec",
    "eval",
    "compile",
    "__import__",
    "hash",
    "id",
}


def imported_names(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
    return names


def may_be_imported(name: str) -> bool:
    if name.startswith("."):
        return not name.startswith("..")  # the engine's own modules
    return (
        name == "runtime.engine"
        or name.startswith("runtime.engine.")
        or name.split(".")[0] in ALLOWED_IMPORTS
    )


def refused_calls(tree: ast.AST) -> set[str]:
    called = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {func.id for func in called if isinstance(func, ast.Name) and func.id in REFUSED_CALLS}


def find_breaches(source: str) -> set[str]:
    tree = ast.parse(source)
    return {name for name in imported_names(tree) if not may_be_imported(name)} | refused_calls(tree)


def test_engine_has_modules_to_check() -> None:
    assert len(MODULES) > 5


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(ENGINE).as_posix())
def test_engine_module_names_no_clock_randomness_or_io(module: Path) -> None:
    assert find_breaches(module.read_text()) == set()


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from datetime import datetime",
        "import random as r",
        "import os.path",
        "def f():\n    import socket",
        "from pathlib import Path",
        "import logging",
        "from django.db import models",
        "from runtime.models import Job",
        "from ..store import load",
        "x = open('a')",
        "print('a')",
        "hash('a')",
    ],
)
def test_the_check_itself_sees_a_breach(source: str) -> None:
    assert find_breaches(source)


def test_fresh_process_imports_the_engine_without_the_stack() -> None:
    program = """
import importlib, pkgutil, sys
import runtime.engine
for module in pkgutil.walk_packages(runtime.engine.__path__, "runtime.engine."):
    importlib.import_module(module.name)
stack = {"django", "rq", "redis", "channels", "asgiref", "twisted", "converge_site", "sqlite3", "pysqlite3"}
print(sorted(stack & {name.split(".")[0] for name in sys.modules}))
"""
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=settings.BASE_DIR, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"

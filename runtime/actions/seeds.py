"""Seeds from outside, checked before anything is created: bounds, keys, schemas, by line."""

from __future__ import annotations

from typing import Any

import jsonschema_rs

from runtime.actions.refusals import Problem
from runtime.actions.seed_lines import find_csv_lines, find_json_lines
from runtime.actions.texts import shorten
from runtime.agents import find_pack
from runtime.engine import BoundsError, PackSpec
from runtime.engine.values import canonical, check_name, load_json, thousandths

MAX_SEED_BYTES = 32 * 1024 * 1024
MAX_SEEDS = 100_000
MAX_PROBLEMS = 50

_FIELDS = frozenset({"key", "subject", "value", "confidence", "evidence"})


def parse_seeds(
    pack: PackSpec, text: str | bytes, filename: str = ""
) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Seeds from a JSON list or CSV text (told apart by the file's name, or its first character).

    Returns (seeds, problems); each problem names its line (0: none), the field and the way out. Nothing is created.
    """
    size = len(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    if size > MAX_SEED_BYTES:
        return [], [Problem(0, "seeds", f"The input is {size:,} bytes; the limit is {MAX_SEED_BYTES:,}.")]
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            return [], [
                Problem(0, "seeds", f"The input is not UTF-8 text: byte {error.start} cannot be read.")
            ]
    text = text.removeprefix("\ufeff")
    if not text.strip():
        return [], [
            Problem(0, "seeds", "The input is empty. Give a JSON list of seeds, or CSV with a header line.")
        ]
    is_json = filename.lower().endswith(".json") or (
        not filename.lower().endswith(".csv") and text.lstrip()[:1] in "[{"
    )
    seeds, problems = _parse_json(pack, text) if is_json else _parse_csv(pack, text)
    return seeds, problems or _at_lines(check_seeds(pack, seeds), text, is_json, len(seeds))


def _at_lines(problems: list[Problem], text: str, is_json: bool, count: int) -> list[Problem]:
    """Problems with the lines of the text in place of the seeds' numbers."""
    lines = (find_json_lines(text) if is_json else find_csv_lines(text)) if problems else []
    if len(lines) == count:
        return [Problem(lines[p.line - 1] if p.line else 0, p.field, p.message) for p in problems]
    return [Problem(0, p.field, f"Seed {p.line}: {p.message}" if p.line else p.message) for p in problems]


def _parse_json(pack: PackSpec, text: str) -> tuple[list[dict[str, Any]], list[Problem]]:
    try:
        data = load_json(text, MAX_SEED_BYTES)
    except BoundsError as error:
        return [], [Problem(0, "seeds", f"The input {error}.")]
    if not isinstance(data, list):
        return [], [
            Problem(0, "seeds", 'The input is no list; write [{"key": …, "subject": …, "value": …}, …].')
        ]
    declared = find_pack(pack.name)
    if declared is None or declared.json_reader is None or _is_seed(data[:1]):
        return data, []
    seeds, problems = declared.json_reader(text)
    return seeds, _at_lines(problems[:MAX_PROBLEMS], text, True, len(data))


def _is_seed(first: list[Any]) -> bool:
    return not first or not isinstance(first[0], dict) or "key" in first[0]


def _parse_csv(pack: PackSpec, text: str) -> tuple[list[dict[str, Any]], list[Problem]]:
    declared = find_pack(pack.name)
    if declared is None:
        return [], [
            Problem(0, "seeds", f"The code of the pack {pack.name} is not installed here; send JSON.")
        ]
    seeds, problems = declared.read_csv(text)
    return seeds, problems[:MAX_PROBLEMS]


def check_seeds(pack: PackSpec, seeds: Any) -> list[Problem]:
    """What is wrong with `seeds` under `pack`; empty if they can be submitted. `line` is the seed's number from 1."""
    if not isinstance(seeds, list) or not seeds:
        return [Problem(0, "seeds", "There are no seeds. A job needs at least one fact to begin with.")]
    if len(seeds) > MAX_SEEDS:
        return [Problem(0, "seeds", f"There are {len(seeds):,} seeds; the limit is {MAX_SEEDS:,}.")]
    keys = {k.name: k for k in pack.keys}
    checkers = {name: jsonschema_rs.validator_for(dict(k.schema)) for name, k in keys.items() if k.schema}
    seedable = [k.name for k in pack.keys if k.seed] or list(keys)
    problems: list[Problem] = []
    for line, seed in enumerate(seeds, 1):
        found = _check_seed(seed, keys, seedable, checkers)
        if found is not None:
            problems.append(Problem(line, *found))
            if len(problems) >= MAX_PROBLEMS:
                break
    return problems or _check_twice(seeds)


def _check_seed(
    seed: Any, keys: dict[str, Any], seedable: list[str], checkers: dict[str, Any]
) -> tuple[str, str] | None:
    if not isinstance(seed, dict):
        return "seeds", "A seed must be an object with key, subject and value."
    extra = sorted(set(seed) - _FIELDS)
    if extra:
        return extra[0], f"The field {extra[0]!r} is unknown; a seed has {', '.join(sorted(_FIELDS))}."
    for name in ("key", "subject", "value"):
        if name not in seed:
            return name, f"The field {name} is missing."
    key = seed["key"]
    if key not in seedable:
        known = ", ".join(seedable)
        return (
            "key",
            f"The key {key!r} {'cannot be seeded' if str(key) in keys else 'is unknown'}; this pack takes {known}.",
        )
    try:
        field = "subject"
        check_name("The subject", seed["subject"])
        field = "confidence"
        thousandths(seed.get("confidence", 1.0))
        field = "value"
        canonical(seed["value"])
        field = "evidence"
        if not isinstance(seed.get("evidence") or {}, dict):
            return field, "The evidence must be an object."
        canonical(seed.get("evidence") or {})
    except BoundsError as error:
        text = str(error)
        return field, f"{text}." if text[:3].isupper() or text.startswith(
            ("The", "confidence")
        ) else f"The {field} {text}."
    if key in checkers:
        misfit = next(iter(checkers[key].iter_errors(seed["value"])), None)
        if misfit is not None:
            path = "/".join(str(p) for p in misfit.instance_path)
            said = shorten(f"{path}: {misfit.message}" if path else misfit.message)
            return path or "value", f"{seed['subject']}: {said}."
    return None


def _check_twice(seeds: list[dict[str, Any]]) -> list[Problem]:
    """The same statement twice is a slip of the hand; two different ones are a conflict, and welcome."""
    seen: dict[tuple[str, str, bytes], int] = {}
    for line, seed in enumerate(seeds, 1):
        name = (
            seed["key"],
            seed["subject"],
            canonical(seed["value"]) + canonical(seed.get("evidence") or {}),
        )
        if name in seen:
            return [
                Problem(
                    line,
                    "subject",
                    f"{seed['key']} / {seed['subject']} was given before, by seed {seen[name]}.",
                )
            ]
        seen[name] = line
    return []

"""The test bench of a pack: candidates that somebody makes up, and what its rules make of them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from converge_site.forms.bench import BenchInput, as_json, read_input, read_rows, write_candidates
from converge_site.fragments.bench import BenchView, view_of
from converge_site.fragments.bench_samples import sample_of
from converge_site.people import for_people
from converge_site.whole_numbers import read_whole
from runtime.actions.pack_specs import pack_spec_from_rows
from runtime.actions.rules import with_draft
from runtime.bench import try_out
from runtime.engine import PackError, PackSpec
from runtime.engine.spec import SEED, KeySpec
from runtime.engine.values import MAX_NAME
from runtime.models import Conflict, GovernanceRule, Pack, RuleState

LONGEST_ADDRESS = 1_800  # characters; what is longer has no address of its own


@for_people
def bench(request: HttpRequest, name: str) -> HttpResponse:
    """What stands when these candidates are said. What is posted gets an address, unless that would be too long."""
    pack = get_object_or_404(Pack, name=name)
    given = request.POST if request.method == "POST" else request.GET
    spec = pack_spec_from_rows(pack)
    rule = (
        pack.rules.select_related("pack", "replaces")
        .filter(pk=read_whole(given.get("rule", "")) or 0)
        .first()
    )
    if rule is not None:
        spec = with_draft(rule, spec)
    key = _find_key(spec, given.get("key", ""), rule)
    context: dict[str, Any] = {"section": "packs", "pack": pack, "rule": rule, "spec": spec, "key": key}
    context["drafts"] = pack.rules.filter(state=RuleState.DRAFT).order_by("name")
    if key is None:
        return render(request, "pages/bench.html", context)
    subject = (_clean(given.get("subject", "")) or "sample")[:MAX_NAME]
    sample: Conflict | None = None
    if request.method == "POST" and given.get("as") == "rows":
        typed = read_rows(given.dict(), key, given.get("facts", ""))
    elif "candidates" in given:
        typed = read_input(given.get("candidates", ""), given.get("facts", ""))
    else:
        subject, said, sample = sample_of(pack, spec, key)
        typed = read_input(write_candidates(said), "")
    if request.method == "POST" and not typed.problems:
        address = _address(pack, key, rule, subject, typed)
        if len(address) <= LONGEST_ADDRESS:
            return HttpResponseRedirect(address, status=303)
    verdict, fault = _try(spec, key, subject, typed)
    context |= {
        "subject": subject,
        "typed": typed,
        "sample": sample,
        "verdict": verdict,
        "fault": fault,
        "speakers": _speakers(spec, key),
        "rule_ids": dict(pack.rules.values_list("name", "pk")),
    }
    status = 422 if typed.problems and request.method == "POST" else 200
    return render(request, "pages/bench.html", context, status=status)


def _find_key(spec: PackSpec, name: str, rule: GovernanceRule | None) -> KeySpec | None:
    """The key that is named; else the first that the rule is about, or that any resolution rule is."""
    named = next((key for key in spec.keys if key.name == name), None)
    if named is not None:
        return named
    rules = [r for r in spec.rules if rule is None or r.name == rule.name]
    covered = (key for r in rules for key in spec.keys if r.covers(key.name))
    return next(covered, spec.keys[0] if spec.keys else None)


def _clean(text: str) -> str:
    return "".join(char for char in text if char.isprintable()).strip()


def _address(pack: Pack, key: KeySpec, rule: GovernanceRule | None, subject: str, typed: BenchInput) -> str:
    said = write_candidates([as_json(made) for made in typed.made], compact=True)
    state = {"key": key.name, "subject": subject, "candidates": said}
    if rule is not None:
        state["rule"] = str(rule.pk)
    if typed.facts.strip():
        state["facts"] = typed.facts
    return f"{reverse('bench', args=[pack.name])}?{urlencode(state)}"


def _try(spec: PackSpec, key: KeySpec, subject: str, typed: BenchInput) -> tuple[BenchView | None, str]:
    if typed.problems:
        return None, ""
    try:
        return view_of(try_out(spec, key.name, subject, typed.made, typed.seeds)), ""
    except PackError as error:
        return None, f"No job could run under the pack as it is now: {error}."


def _speakers(spec: PackSpec, key: KeySpec) -> list[str]:
    """Who may speak about the key, for the field's suggestions: those who write it first."""
    writers = [a.name for a in spec.agents if key.name in a.writes and a.shape != "aggregate"]
    return [*writers, SEED, "@person"]

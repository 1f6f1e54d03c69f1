"""What a person is about to submit: from the generated form, or pasted, or uploaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.http import HttpRequest

from converge_site.forms.seed_form import MOST_ROWS, Problem, SeedForm, make_form, read_form
from converge_site.whole_numbers import read_whole
from runtime.actions import check_seeds, parse_seeds
from runtime.actions.pack_specs import pack_spec_from_rows
from runtime.agents.registry import find_pack
from runtime.models import Job, Pack

PREVIEW_ROWS = 25
PROBLEMS_SHOWN = 100
MOST_PASTED = 16 * 1024 * 1024  # bytes


@dataclass(slots=True)
class NewJob:
    """A draft. `mode` is "form" or "paste"; `seeds` is what would be submitted."""

    pack: Pack
    mode: str
    title: str = ""
    form: SeedForm | None = None
    text: str = ""
    filename: str = ""
    samples: list[str] = field(default_factory=list)
    seeds: list[dict[str, Any]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    refusal: str = ""
    is_read: bool = False

    def take_problems(self, problems: Sequence[Problem]) -> None:
        """Shows what was found wrong: in the form beside each input, else as a list."""
        self.problems = list(problems)
        if self.form is not None:
            self.form.place_problems(problems)

    @property
    def preview(self) -> list[dict[str, Any]]:
        """The first seeds, for a look before anything is created."""
        return self.seeds[:PREVIEW_ROWS]

    @property
    def counts(self) -> list[tuple[str, int]]:
        """How many seeds of each key."""
        return sorted(Counter(str(seed.get("key", "")) for seed in self.seeds).items())

    @property
    def shown_problems(self) -> list[Problem]:
        """The first problems; a file of the wrong kind has thousands."""
        return self.problems[:PROBLEMS_SHOWN]


def start_new_job(request: HttpRequest, packs: Sequence[Pack]) -> NewJob | None:
    """The draft of a GET: a sample of the pack, or the seeds of the job to clone; None before a pack is chosen."""
    cloned = _find_cloned(request.GET.get("from", ""))
    wanted = cloned.pack.name if cloned else request.GET.get("pack", "")
    pack = next((p for p in packs if p.name == wanted), None)
    if pack is None:
        return None
    code = find_pack(pack.name)
    samples = list(code.samples()) if code else []
    sample = request.GET.get("sample", "")
    sample = sample if sample in samples else ""
    seeds = orjson.loads(cloned.seeds) if cloned else code.sample_seeds(sample) if code and samples else []
    mode = request.GET.get("mode", "") or ("form" if len(seeds) <= MOST_ROWS else "paste")
    draft = NewJob(pack, "paste" if mode == "paste" else "form", samples=samples)
    draft.title = f"{cloned.title} (again)"[:200] if cloned and cloned.title else ""
    if draft.mode == "form":
        draft.form = make_form(pack.keys, seeds[:MOST_ROWS])
    elif cloned:
        draft.text = _write_lines(seeds)
    elif code and sample:
        path = code.samples()[sample]
        draft.text, draft.filename = path.read_text(encoding="utf-8"), path.name
    return draft


def read_new_job(request: HttpRequest, packs: Sequence[Pack]) -> NewJob | None:
    """The draft a POST brought back, read and checked."""
    pack = next((p for p in packs if p.name == request.POST.get("pack")), None)
    if pack is None:
        return None
    code = find_pack(pack.name)
    mode = "paste" if request.POST.get("mode") == "paste" else "form"
    draft = NewJob(pack, mode, request.POST.get("title", "").strip()[:200])
    draft.samples = list(code.samples()) if code else []
    if mode == "form":
        _read_from_form(request, draft)
    else:
        _read_from_text(request, draft)
    return draft


def _read_from_form(request: HttpRequest, draft: NewJob) -> None:
    draft.form = read_form(draft.pack.keys, request.POST)
    if request.POST.get("do", "").startswith(("add:", "remove:")):
        return
    draft.seeds = draft.form.seeds()
    if draft.form.wrong:
        draft.refusal = "Some inputs need another look; nothing was created."
    elif not draft.seeds:
        draft.refusal = "There is nothing to submit: every row is empty."
    else:
        draft.take_problems(check_seeds(pack_spec_from_rows(draft.pack), draft.seeds))


def _read_from_text(request: HttpRequest, draft: NewJob) -> None:
    upload = request.FILES.get("file")
    draft.text, draft.filename = request.POST.get("text", ""), request.POST.get("filename", "")[:200]
    if upload is not None:
        draft.filename = str(upload.name)[:200]
        if (upload.size or 0) > MOST_PASTED:
            draft.refusal = f"The file is larger than {MOST_PASTED // 2**20} MiB."
            return
        try:
            draft.text = upload.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            draft.refusal = f"The file is not UTF-8 text (byte {error.start + 1})."
            return
    if not draft.text.strip():
        draft.refusal = "Paste some seeds, or choose a file."
        return
    draft.seeds, problems = parse_seeds(pack_spec_from_rows(draft.pack), draft.text, draft.filename)
    draft.is_read = True
    draft.problems = list(problems)


def _find_cloned(text: str) -> Job | None:
    number = read_whole(text)
    return None if number is None else Job.objects.select_related("pack").filter(pk=number).first()


def _write_lines(seeds: Sequence[dict[str, Any]]) -> str:
    """Seeds as a JSON list, one a line."""
    return "[\n" + ",\n".join("  " + orjson.dumps(seed).decode() for seed in seeds) + "\n]\n"

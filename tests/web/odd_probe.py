"""Run as a process on whatever database the environment names: what each odd request is answered, as JSON."""

from __future__ import annotations

import json
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "converge_site.settings")

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test.utils import setup_test_environment  # noqa: E402

from converge_site.live.topics import PageTopic  # noqa: E402
from converge_site.readable import UnreadableQuery  # noqa: E402
from tests.web.cast import growth_job, make_people, signed_in  # noqa: E402
from tests.web.test_odd_requests import ENDLESS, filters_of, forms_of  # noqa: E402

TEXTS = ("a%00b", "%ED%A0%80", "%01%1b", ENDLESS, "99999999999999999")


def probe() -> dict[str, object]:
    """Statuses by what was sent, over every filter and every field of every form."""
    setup_test_environment()  # the client's host is one of ours
    # Real hashes take half a second each, and nobody attacks this database.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    call_command("migrate", verbosity=0, interactive=False)
    people = make_people()
    ada, job = signed_in(people["ada"]), growth_job(people["otto"])
    ada.raise_request_exception = False
    found: dict[str, set[int]] = {
        text[:20]: {ada.get(address + text).status_code for address in filters_of(job)} for text in TEXTS
    }
    for name, text in (("form NUL", "a\0b"), ("form JSON NUL", '"\\u0000"'), ("form long", "x" * 65536)):
        found[name] = {
            ada.post(address, fields | {field: text}).status_code
            for address, fields in forms_of(job).items()
            for field in fields
        }
    try:
        PageTopic("jobs", "q=%00").changes(at_once=True)
        pushed = "rendered"
    except UnreadableQuery:
        pushed = "refused"
    statuses: dict[str, object] = {name: sorted(codes) for name, codes in found.items()}
    return statuses | {"pushed": pushed, "vendor": connection.vendor}


if __name__ == "__main__":
    print(json.dumps(probe()))

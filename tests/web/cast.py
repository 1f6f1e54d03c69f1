"""Vera views, Otto operates, Ada administers; and the jobs they look at."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, User
from django.test import Client

from runtime.actions import submit_job
from runtime.actions.sync_packs import sync_packs
from runtime.agents import find_pack
from runtime.models import Conflict, Job
from runtime.worker import run_job

ROLES = {"vera": "viewer", "otto": "operator", "ada": "admin"}


def make_people() -> dict[str, User]:
    """The three, each with the password `pass of <name>`."""
    people = {}
    for name, role in ROLES.items():
        people[name] = User.objects.create_user(name, password=f"pass of {name}", is_staff=role == "admin")
        people[name].groups.add(Group.objects.get_or_create(name=role)[0])
    return people


def signed_in(user: User) -> Client:
    """A browser in which somebody is signed in."""
    client = Client()
    client.force_login(user)
    return client


def sample_seeds() -> list[dict[str, Any]]:
    """What the growth pack ships as a sample."""
    pack = find_pack("growth")
    assert pack is not None
    return pack.sample_seeds()


def growth_job(user: User, title: str = "Spring budget", seeds: list[dict[str, Any]] | None = None) -> Job:
    """A job of the growth pack on its sample, run until it waits for a person."""
    sync_packs()
    job = submit_job(user, "growth", seeds or sample_seeds(), title)
    return run_on(job)


def run_on(job: Job) -> Job:
    """The job, run until it stops again."""
    run_job(job.pk)
    return Job.objects.select_related("pack", "submitter").get(pk=job.pk)


def open_conflict(job: Job) -> Conflict:
    """The first question of a job that waits."""
    return Conflict.objects.filter(job=job, status="open", kind="conflict").order_by("id")[0]

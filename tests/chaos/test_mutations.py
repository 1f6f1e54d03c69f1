"""That the safeguards which `make chaos ARGS='--mutations'` takes out are where it looks for them."""

from __future__ import annotations

import pytest

from tests.chaos.mutations import MUTATIONS, ROOT, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[mutation.name for mutation in MUTATIONS])
def test_each_safeguard_is_found_and_its_tests_are_there(mutation: Mutation) -> None:
    assert (ROOT / mutation.file).read_text().count(mutation.before) == 1
    for test in mutation.tests:
        assert test.startswith("wave ") or (ROOT / test).exists()

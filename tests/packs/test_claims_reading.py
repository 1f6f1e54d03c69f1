"""Claims come in as CSV or JSON; what cannot be read is told by line, field and way out."""

import csv
import io
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.packs.claims import reading
from runtime.packs.claims.claim import (
    Claim,
    claim_from_seed,
    claim_subject,
    claims_to_seeds,
    read_instant,
    slot_subject,
)
from runtime.packs.claims.reading import read_claims_csv, read_claims_json

HEADER = "source,object,attribute,value,observed_at,confidence\n"


def read_problem(text: str) -> reading.Problem:
    (problem,) = read_claims_csv(text).problems
    return problem


def test_csv_rows_become_claims_and_further_columns_evidence():
    text = HEADER.strip() + ",sample_size,partisan\nPoll A,AZ,winner,Kelly,2022-10-18,0.8,974,\n"
    (claim,) = read_claims_csv(text).claims
    assert claim == Claim("Poll A", "AZ", "winner", "Kelly", "2022-10-18", 0.8, (("sample_size", "974"),))
    assert claim.line == 2


def test_quotes_byte_order_mark_semicolons_and_crlf_are_read():
    text = '\ufeffsource;object;attribute;value\r\n"Fabrizio; Lee";AZ;winner;"a ""b""\r\nc"\r\n'
    (claim,) = read_claims_csv(text).claims
    assert (claim.source, claim.label) == ("Fabrizio; Lee", 'a "b"\r\nc')


def test_newest_statement_is_the_sources_word_whatever_the_form_of_the_time():
    rows = [
        "s,o,a,old,2024-04-22,",
        "s,o,a,new,2024-04-22T20:26:29.754Z,",
        "s,o,a,older,2024-04-22T23:00:00+04:00,",
        "s,o,a,undated,,",
    ]
    for order in itertools.permutations(rows):
        found = read_claims_csv(HEADER + "\n".join(order))
        assert [claim.label for claim in found.claims] == ["new"]
        assert found.superseded == 3


def test_of_equally_old_statements_the_last_row_counts():
    found = read_claims_csv(HEADER + "s,o,a,first,2024-04-22,\ns,o,a,second,2024-04-22T00:00:00Z,\n")
    assert [claim.label for claim in found.claims] == ["second"]


def test_duplicate_rows_are_tolerated():
    found = read_claims_csv(HEADER + "s,o,a,x,,\n" * 3)
    assert (len(found.claims), found.superseded, found.problems) == (1, 2, ())


@pytest.mark.parametrize(
    "text", ["2022-10-18", "2013-09-05T19:00:00", "2024-04-22T16:05:59.418913", "2024-04-22T20:26:29.754Z"]
)
def test_times_of_every_given_form_are_read(text):
    assert read_instant(text) > 0


@pytest.mark.parametrize(
    ("row", "field", "way_out"),
    [
        ("s,o,a,x,,1.2", "confidence", "must lie between 0 and 1"),
        ("s,o,a,x,,nan", "confidence", "must lie between 0 and 1"),
        ("s,o,a,x,,high", "confidence", "must lie between 0 and 1"),
        ("s,o,a,x,yesterday,", "observed_at", "write 2024-04-22"),
        ("s,o,a,,,", "value", "leave the row out"),
        (",o,a,x,,", "source", "every claim names"),
        ("s,o,a", "", "3 cells where the header has 6"),
        ("s,o," + "a" * 151 + ",x,,", "attribute", "limit is 150"),
        ("s,o,a," + "x" * 2_001 + ",,", "value", "limit is 2,000"),
        ("s,o\x07,a,x,,", "object", "remove it"),
    ],
)
def test_a_row_that_cannot_be_read_is_told_and_the_others_stay(row, field, way_out):
    found = read_claims_csv(HEADER + "t,o,a,y,,\n" + row + "\nu,o,a,z,,\n")
    assert [claim.source for claim in found.claims] == ["t", "u"]
    (problem,) = found.problems
    assert (problem.line, problem.field) == (3, field)
    assert way_out in problem.message


def test_lines_are_counted_over_quoted_line_breaks():
    assert read_problem(HEADER + 's,o,a,"x\ny",,\ns,o,b,x,,2\n').line == 4


def test_a_score_that_overshoots_by_rounding_is_clamped():
    found = read_claims_csv(HEADER + "s,o,a,x,,1.003967\ns,o,b,x,,-0.0037\n")
    assert [claim.confidence for claim in found.claims] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 0, "is empty"),
        ("  \n ", 0, "is empty"),
        (HEADER, 0, "holds no claims"),
        ("source,object,value\ns,o,x\n", 1, "add attribute"),
        (HEADER + 's,o,a,"x,,\n', 2, "malformed CSV"),
        (HEADER + 's,o,a,"x"y,,\n', 2, "malformed CSV"),
        ("source,object,attribute,value,value\ns,o,a,x,y\n", 1, "twice in the header"),
    ],
)
def test_input_that_cannot_be_read_at_all_is_told(text, line, said):
    problem = read_problem(text)
    assert problem.line == line
    assert said in problem.message


def test_problems_are_capped():
    found = read_claims_csv(HEADER + "s,o,a,x,,7\n" * 500)
    assert len(found.problems) == reading.MAX_PROBLEMS + 1
    assert "the rest was not looked at" in str(found.problems[-1])


def test_json_values_keep_their_type_and_equal_values_have_one_label():
    rows = [
        {"source": s, "object": "o", "attribute": "a", "value": value}
        for s, value in (("s", 1), ("t", 1.0), ("u", True), ("v", ["B", "A"]), ("w", "text"))
    ]
    claims = read_claims_json(json.dumps(rows)).claims
    assert [claim.label for claim in claims] == ["1", "1", "true", '["B", "A"]', "text"]
    assert claims_to_seeds(claims)[3]["value"]["value"] == ["B", "A"]


NO_CLAIMS = ["", "{", "{}", "[1]", '[{"source": "s"}]', "[NaN]", '[{"a": 1, "a": 2}]', "[" * 9_999]


@pytest.mark.parametrize("text", NO_CLAIMS)
def test_json_that_is_no_list_of_claims_is_told(text):
    found = read_claims_json(text)
    assert not found.claims
    assert found.problems


def test_seeds_hold_all_that_is_known_of_a_claim():
    text = HEADER.strip() + ",margin\nPoll A,AZ,winner,Kelly,2022-10-18,0.8,-2\n"
    (claim,) = read_claims_csv(text).claims
    (seed,) = claims_to_seeds([claim])
    assert (seed["key"], seed["subject"]) == ("claim", "Poll A on AZ/winner")
    assert claim_from_seed(seed["value"]) == claim


NAMES = st.text(st.sampled_from(list(" on/%2F0ab")), min_size=1, max_size=9)


@given(st.tuples(NAMES, NAMES, NAMES), st.tuples(NAMES, NAMES, NAMES))
def test_subjects_are_unique_for_each_source_and_slot(one, other):
    assert (claim_subject(*one) == claim_subject(*other)) == (one == other)
    assert (slot_subject(*one[1:]) == slot_subject(*other[1:])) == (one[1:] == other[1:])


CELLS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS), min_size=1, max_size=5))
def test_whatever_a_csv_writer_writes_is_read(rows):
    text = io.StringIO()
    csv.writer(text).writerows([("source", "object", "attribute", "value"), *rows])
    found = read_claims_csv(text.getvalue())
    assert not found.problems
    last = {row[:3]: row[3] for row in rows}
    assert {(c.source, c.object, c.attribute): c.label for c in found.claims} == last


@given(st.text(max_size=200))
def test_no_text_raises(text):
    read_claims_csv(text)
    read_claims_csv(HEADER + text)
    read_claims_json(text)

"""CSV that cannot be read: the line of the file is named, and nothing is created."""

import pytest

from runtime.actions import parse_seeds
from runtime.agents import find_pack
from tests.runtime.packs import walk


def problem(pack: str, text: str) -> tuple[int, str]:
    """The first problem's line and message."""
    found = find_pack(pack)
    spec = walk.spec() if found is None else found.spec()
    _, problems = parse_seeds(spec, text, "seeds.csv")
    assert problems
    return problems[0].line, problems[0].message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('subject,budget\n"unclosed,1\n', 2),
        ('subject,budget\na,1\nb,2\n"c" d,3\n', 4),
        ("subject,goal\na,profit\nb,profit,more\n", 3),
        ("subject,subject\na,b\n", 1),
        ("name,budget\na,1\n", 1),
        ("subject,budget\na,much\n", 2),
    ],
)
def test_malformed_line_is_named(text: str, line: int) -> None:
    assert problem("growth", text)[0] == line


def test_row_that_does_not_fit_its_schema_is_named_by_its_line() -> None:
    header = "key,subject,goal,budget,risk,horizon\n"
    good = "company,Tide,profit,1000,balanced,12\n"
    line, said = problem("growth", f"{header}\n{good}\ncompany,Other,glory,1000,balanced,12\n")
    assert line == 5
    assert '"glory" is not one of' in said


def test_row_of_a_quoted_cell_over_two_lines_counts_as_where_it_ends() -> None:
    header = "key,subject,goal,budget,risk,horizon\n"
    line, _ = problem("growth", f'{header}company,"Tide\nwater",profit,1000,balanced,12\n')
    assert line == 3


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("source,object,attribute,value\nann,door,colour,red\nben,door,colour\n", 3),
        ("source,object,attribute,value\nann,door,colour,\n", 2),
        ("source,object,attribute\nann,door,colour\n", 1),
        ("source,object,attribute,value,observed_at\nann,door,colour,red,yesterday\n", 2),
        ("source,object,attribute,value,confidence\nann,door,colour,red,2\n", 2),
        ('source,object,attribute,value\nann,door,colour,"red\n', 2),
    ],
)
def test_claim_that_cannot_be_read_is_named_by_its_line(text: str, line: int) -> None:
    assert problem("claims", text)[0] == line


def test_table_without_rows_is_refused() -> None:
    assert "no row below" in problem("growth", "subject,budget\n")[1]


def test_pack_whose_code_is_not_installed_takes_json_only() -> None:
    assert "is not installed here; send JSON." in problem("walk", "subject,value\n1,1\n")[1]

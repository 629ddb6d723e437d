"""The threat model names tests that exist, every door has its section, and what is open says so."""

import ast
import re
from functools import cache

from tests.architecture.house import ROOT, tree

DOC = ROOT / "docs" / "threat-model.md"
BESIDE_DOORS = {
    "Operators and SMS", "Token service", "PostgreSQL", "Redis", "Worker and jobs",
    "Operator's command line",
}  # fmt: skip
STRIDE = set("STRIDE")
_NAMED = re.compile(r"`(tests/[\w/]+\.py)::((?:\w+::)?\w+)`")


@cache
def sections() -> dict[str, list[list[str]]]:
    """Rows (letter, threat, defence, shown by) under each heading of the document."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for line in DOC.read_text("utf-8").splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
            found[heading] = []
        elif line.startswith("| ") and not line.startswith("| |"):
            found[heading].append([cell.strip() for cell in line.strip("|").split(" | ")])
    return found


def rows() -> list[list[str]]:
    return [row for section in sections().values() for row in section]


def doors() -> set[str]:
    """The packages of api/ that have a router."""
    return {
        file.parent.name
        for file in (ROOT / "api").glob("*/__init__.py")
        for node in tree(file).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id == "router"
    }


@cache
def collected(path: str) -> frozenset[str]:
    """`test_name`, or `TestClass::test_name`, of everything pytest would collect there."""
    file = ROOT / path
    if not file.exists():
        return frozenset()
    module = tree(file)
    classes = [("", module.body)]
    classes += [(f"{c.name}::", c.body) for c in module.body if isinstance(c, ast.ClassDef)]
    return frozenset(
        f"{prefix}{node.name}"
        for prefix, body in classes
        for node in body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and "test_" in node.name[:5]
    )


def test_every_test_it_names_exists() -> None:
    named = _NAMED.findall(DOC.read_text("utf-8"))
    assert len(named) > 150
    missing = {f"{path}::{name}" for path, name in named if name not in collected(path)}
    assert not missing


def test_every_row_names_its_tests_or_says_that_it_is_open() -> None:
    for row in rows():
        assert len(row) == 4, row
        letter, _, defence, shown = row
        assert letter in STRIDE, row
        assert defence, row
        if not shown.startswith("open"):
            left = _NAMED.sub("", shown).replace(",", "").strip()
            assert _NAMED.search(shown), row
            assert not left, row
        else:
            assert not _NAMED.search(shown), row


def test_every_door_and_everything_behind_one_has_a_section_with_all_six_letters() -> None:
    assert doors() >= {"mobile", "atm", "agency", "bank", "support", "admin", "sim"}
    for name in doors() | BESIDE_DOORS | {"Every door"}:
        letters = {row[0] for row in sections().get(name, [])}
        assert letters == STRIDE, name


def test_what_is_open_is_listed_once_more_at_the_end() -> None:
    """Shorter there than the rows, but never forgotten while a row says so."""
    assert list(sections())[-1] == "Open"
    listed = DOC.read_text("utf-8").rpartition("## Open")[2]
    opened = [row for row in rows() if row[3].startswith("open")]
    assert opened
    assert len(re.findall(r"^- ", listed, re.MULTILINE)) >= len(opened) // 2

"""Every bug, trap and promise of others that was read about has its test here, or says why not."""

import ast
import re
from functools import cache

from tests.architecture.house import ROOT, tree
from tests.architecture.test_threat_model import collected

LIST = ROOT / "tests" / "architecture" / "peers.txt"
PEERS = {
    "blnk": (181, 182, 55, 62, 172, 158, 359),
    "tigerbeetle": (27, 3833),
    "formance": (1601, 1633, 1636, 1638),
    "fineract": (2485, 2753, 2982, 1977, 1751),
    "mojaloop": (3078,),
    "open-bank-oss": (528,),
}
TRAPS = range(1, 11)
ROWS = {"D": 15, "E": 8, "F": 7}
"""Of ledger and database, of messages and Redis, of overload and shutdown."""

_NODE = re.compile(r"(tests/[\w/]+\.py)::((?:\w+::)?\w+)(?:\[([^\]]+)\])?")


def wanted() -> set[str]:
    peers = {f"{peer} {number}" for peer, numbers in PEERS.items() for number in numbers}
    rows = {f"{letter}{number}" for letter, most in ROWS.items() for number in range(1, most + 1)}
    return peers | {f"trap {number}" for number in TRAPS} | rows


@cache
def lines() -> dict[str, str]:
    """What shows each issue, or why nothing does."""
    found: dict[str, str] = {}
    for line in LIST.read_text("utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        issue, what, shown = (part.strip() for part in line.split(" | "))
        issue = re.sub(r"^P\d+ ", "", issue)
        assert what, line
        assert issue not in found, line
        found[issue] = shown
    return found


def names(issue: str, told: str) -> bool:
    """Whether a test's name or words tell of this issue."""
    peer, _, number = issue.rpartition(" ")
    if peer == "trap":
        pattern = rf"trap[ _]{number}\b|trap_{number}_"
    elif peer:
        pattern = rf"{peer.replace('-', '[-_]')}.*[_ #-]{number}(?!\d)"
    else:
        pattern = rf"\b{issue}\b|_{issue.lower()}_"
    return re.search(pattern, told, re.IGNORECASE | re.DOTALL) is not None


def told_by(path: str, test: str) -> str:
    """The test's name, its words and its module's."""
    module = tree(ROOT / path)
    wanted_name = test.rpartition("::")[2]
    function = next(
        node
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == wanted_name
    )
    words = (ast.get_docstring(function) or "", ast.get_docstring(module) or "")
    return " ".join((wanted_name, *words))


def texts_of(path: str) -> list[str]:
    return [
        node.value
        for node in ast.walk(tree(ROOT / path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def test_every_issue_is_on_the_list_and_nothing_else() -> None:
    assert set(lines()) == wanted()


def test_every_issue_names_tests_that_exist_or_says_why_it_has_none() -> None:
    for issue, shown in lines().items():
        if shown.startswith(("cannot: ", "open: ")):
            assert len(shown.split()) > 8, issue
            continue
        nodes = [_NODE.fullmatch(node.strip()) for node in shown.split(", tests/")[:1]]
        nodes += [_NODE.fullmatch(f"tests/{node.strip()}") for node in shown.split(", tests/")[1:]]
        for node in nodes:
            assert node is not None, (issue, shown)
            path, test, line = node.groups()
            assert test in collected(path), (issue, path, test)
            if line is not None:
                assert any(text.startswith(line) for text in texts_of(path)), (issue, line)
            assert names(issue, f"{told_by(path, test)} {line or ''}"), (issue, path, test)


def test_a_test_that_does_not_name_its_issue_is_found_out() -> None:
    assert names("blnk 181", "test_blnk_181_holds_count")
    assert names("blnk 181", "Blnk's #181: holds")
    assert not names("blnk 18", "test_blnk_181_holds_count")
    assert not names("blnk 181", "test_holds_count")
    assert names("D5", "D5: any process killed")
    assert not names("D5", "test_id5_is_read")
    assert not names("D1", "D10, D15")
    assert names("trap 1", "test_trap_1_zero")
    assert not names("trap 1", "test_trap_10_floats")

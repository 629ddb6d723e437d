"""The shape of the source: short files, short functions, names that say what is inside."""

import ast
import re
from collections.abc import Iterator

import pytest

import wallet
from tests.architecture.house import ROOMS, ROOT, committed, files, named, tree

LONGEST_FILE = 500
LONGEST_FUNCTION = 50
SAY_NOTHING = {"utils", "util", "helpers", "common", "lib", "services", "manager", "base"}


def test_no_file_is_longer_than_500_lines() -> None:
    long = {
        named(file): lines
        for file in files(*ROOMS, "tests")
        if (lines := len(file.read_text(encoding="utf-8").splitlines())) > LONGEST_FILE
    }
    assert not long


def test_no_function_is_longer_than_50_lines() -> None:
    long = {
        f"{named(file)}.{node.name}": lines
        for file in files(*ROOMS, "tests")
        for node in ast.walk(tree(file))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    }
    assert not long


def test_every_module_has_a_name_that_says_something() -> None:
    empty = {
        named(file) for file in files(*ROOMS, "tests") if SAY_NOTHING & set(named(file).split("."))
    }
    assert not empty


def test_every_module_says_what_it_promises() -> None:
    silent = {
        named(file)
        for file in files(*ROOMS)
        if not ast.get_docstring(tree(file)) and "versions" not in file.parts
    }
    assert not silent


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        named(file)
        for file in files(*ROOMS)
        for node in ast.walk(tree(file))
        if (isinstance(node, ast.Attribute | ast.Name) and _called(node) in READS_ENVIRONMENT)
        or (isinstance(node, ast.ImportFrom) and {a.name for a in node.names} & READS_ENVIRONMENT)
    }
    assert readers == {"runtime.settings"}


READS_ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}


def _called(node: ast.Attribute | ast.Name) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node.value, ast.Name) and node.value.id == "os" else ""


def test_only_commands_print() -> None:
    printing = {
        named(file)
        for file in files("wallet", "api", "notifications")
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Name) and node.id in ("print", "breakpoint")
    }
    assert not printing


# money is whole numbers

BESIDE_MONEY = [
    f"wallet/{room}"
    for room in ("ledger", "khqr", "limits", "cards", "salary", "topups", "qr", "disputes")
]
MONEY = [ROOT / f"wallet/{name}.py" for name in ("money", "terms", "fees", "exchange", "proposals")]


def test_a_float_beside_money_is_a_number_of_seconds_and_named_so() -> None:
    """Trap 10, D13.
    Literals, annotations, calls, true division: wherever a float could come from."""
    odd = [
        f"{named(file)}:{line}"
        for file in (*MONEY, *files(*BESIDE_MONEY))
        for line in floats(tree(file))
    ]
    assert not odd


@pytest.mark.parametrize(
    "source",
    ["fee = 0.5", "x = float(y)", "def f(x: float) -> int: ...", "half = a / 2", "f(rate=1.5)",
     "def f() -> float: ...", "x: tuple[float, ...] = ()", "x = 1e3", "a /= 2"],
)  # fmt: skip
def test_a_float_is_recognised(source: str) -> None:
    assert list(floats(ast.parse(source))) == [1]


@pytest.mark.parametrize(
    "source",
    ["pause_s = 0.5", "PAUSE_S: Final = 0.5", "def f(x_s: float = 1.0): ...", "Again(pause_s=2.0)",
     "def wait_s() -> float: ...", "pauses_s: tuple[float, ...] = (1.0, 2.0)", "half = a // 2"],
)  # fmt: skip
def test_seconds_may_be_floats(source: str) -> None:
    assert list(floats(ast.parse(source))) == []


def floats(node: ast.AST) -> Iterator[int]:
    """The line of every float below `node` that no name ending in `_s` holds."""
    if _holds_seconds(node):
        return
    is_float = (
        (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.Name) and node.id == "float")
        or (isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div))
    )
    if is_float:
        yield node.lineno  # type: ignore[attr-defined]
    for child in _without_seconds(node):
        yield from floats(child)


def _holds_seconds(node: ast.AST) -> bool:
    match node:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name.lower().endswith("_s")
        case ast.AnnAssign(target=ast.Attribute(attr=name)) | ast.keyword(arg=str(name)):
            return name.endswith("_s")
        case ast.arg(arg=name):
            return name.endswith("_s")
    return False


def _without_seconds(node: ast.AST) -> list[ast.AST]:
    """The children of a node, minus a default that belongs to an argument of seconds and the
    answer of a function named so."""
    children = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.arguments):
        told = [*node.posonlyargs, *node.args]
        given = [*zip(told[len(told) - len(node.defaults) :], node.defaults, strict=True)]
        given += [(a, d) for a, d in zip(node.kwonlyargs, node.kw_defaults, strict=True) if d]
        ours = {id(default) for arg, default in given if _holds_seconds(arg)}
        return [child for child in children if id(child) not in ours]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.endswith("_s"):
        return [child for child in children if child is not node.returns]
    return children


# what is written about the house


def test_the_tree_in_the_docs_is_the_tree_on_the_disk() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    block = text.partition("<!-- tree")[2].partition("<!-- end of tree -->")[0]
    told = re.findall(r"^    (\w+)/ ", block, re.MULTILINE)
    assert len(set(told)) == len(told)
    assert set(told) == {path.split("/")[0] for path in committed() if "/" in path} - {".ci"}


def test_the_reading_order_names_every_room_of_the_wallet() -> None:
    lines = re.findall(r"^\d+\. +(.*?)  ", str(wallet.__doc__), re.MULTILINE)
    told = [name for line in lines for name in line.split(", ")]
    on_disk = {
        part.stem
        for part in (ROOT / "wallet").iterdir()
        if (part.suffix == ".py" and part.stem != "__init__") or (part / "__init__.py").exists()
    }
    assert sorted(told) == sorted(on_disk)


# nothing of this machine


FOREIGN = re.compile(
    # Package registries' hosts and machines' own paths, spelled so that this line is none.
    r"py" r"pi\.(?:org|python)|python" r"hosted\.org|registry\.npm" r"js|crates" r"\.io"
    r"|proxy\.golang" r"\.org|ruby" r"gems\.org|repo1?\.maven"
    r"|(?<![\w.\-])/(?:work|root|farm|home)" r"/[\w.]|(?<!\w)/fa" r"rm\b"
)  # fmt: skip


def test_nothing_committed_names_a_registry_or_a_path_of_a_machine() -> None:
    found = []
    for path in committed():
        try:
            text = (ROOT / path).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        found += [f"{path}: {match[0]}" for match in FOREIGN.finditer(text)]
    assert not found


def test_links_in_the_docs_lead_somewhere() -> None:
    for page in (path for path in committed() if path.endswith(".md")):
        text = (ROOT / page).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#\s]+)", text):
            if "://" not in target:
                assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"


def test_every_decision_stands_in_the_list_in_order() -> None:
    page = ROOT / "docs" / "decisions"
    told = re.findall(r"^- \[(\d+)\]\((.+?)\): \S", (page / "README.md").read_text("utf-8"), re.M)
    records = sorted(one.name for one in page.glob("[0-9]*.md"))
    assert [name for _, name in told] == records
    for number, name in told:
        title = (page / name).read_text(encoding="utf-8").splitlines()[0]
        assert title.startswith(f"# {number}. "), name
        assert name.startswith(f"{int(number):04d}-")


def test_every_setting_that_is_told_of_exists_and_every_one_there_is_is_told_of() -> None:
    source = (ROOT / "runtime" / "settings.py").read_text(encoding="utf-8")
    there_are = set(re.findall(r"\bSMARTID_[A-Z0-9_]+\b", source))
    own = {"SMARTID_POSTGRES_PASSWORD", "SMARTID_REDIS_PASSWORD"}  # compose's, parts of its URLs
    for page in (path for path in committed() if path.endswith((".md", "compose.yaml"))):
        named = set(re.findall(r"\bSMARTID_[A-Z0-9_]+\b", (ROOT / page).read_text("utf-8")))
        assert named <= there_are | own, page
    table = set(re.findall(r"\bSMARTID_[A-Z0-9_]+\b", source.split('"""')[1]))
    assert there_are <= table, "the table at the top tells of all"

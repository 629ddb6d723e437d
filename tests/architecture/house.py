"""The source of the house, read as text and as syntax trees; nothing of it is run."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("wallet", "api", "notifications", "runtime", "simulators", "benchmarks")


@cache
def files(*rooms: str) -> tuple[Path, ...]:
    return tuple(file for room in rooms for file in sorted((ROOT / room).rglob("*.py")))


def named(file: Path) -> str:
    """The module's name: wallet/access/staff.py is wallet.access.staff."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


def texts(file: Path) -> Iterator[str]:
    """Every string of the module but its docstrings; what an f-string fills in reads as `{}`."""
    docstrings = {
        id(node.value)
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    inside = {
        id(part)
        for node in ast.walk(tree(file))
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values
            )
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings | inside
        ):
            yield node.value

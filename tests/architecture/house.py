"""The source of the house, read as text and as syntax trees; nothing of it is run."""

import ast
import fnmatch
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("wallet", "api", "notifications", "runtime", "simulators", "benchmarks")


@cache
def files(*rooms: str) -> tuple[Path, ...]:
    return tuple(file for room in rooms for file in sorted((ROOT / room).rglob("*.py")))


def told_by_git(*asked: str) -> str | None:
    """What git answers about this house; None where it stands outside a git checkout (an unpacked
    archive, an image) or there is no git."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        return None
    told = subprocess.run([git, *asked], cwd=ROOT, capture_output=True, check=False)
    return told.stdout.decode("utf-8", "replace")


def committed() -> list[str]:
    """Every path under version control; without git, every one that would not be ignored."""
    told = told_by_git("ls-files", "-z")
    if told is not None:
        return [path for path in told.split("\0") if (ROOT / path).is_file()]
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text("utf-8").split()]
    paths = [path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file()]
    return sorted(
        str(path)
        for path in paths
        if not any(fnmatch.fnmatch(part, one) for part in path.parts for one in [*ignored, ".git"])
    )


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

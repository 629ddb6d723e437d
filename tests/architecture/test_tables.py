"""Every table is written by one module: what may happen to its rows stands in one place."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.architecture.house import ROOT, files, named, texts, tree

WRITES = re.compile(
    r"\binsert\s+into\s+(?P<insert>[\w.{}]+)"
    r"|\bdelete\s+from\s+(?:only\s+)?(?P<delete>[\w.{}]+)"
    r"|\bupdate\s+(?:only\s+)?(?P<update>[\w.{}]+)(?:\s+(?:as\s+)?\w+)?\s+set\b"
    r"|\bmerge\s+into\s+(?P<merge>[\w.{}]+)"
    r"|\btruncate\s+(?:table\s+)?(?P<truncate>[\w.{}]+)"
    r"|\bcopy\s+(?P<copy>[\w.{}]+)\s*(?:\([^)]*\)\s*)?from\b",
    re.IGNORECASE,
)
OF_SEVERAL_MODULES = ("wallet.registry", "wallet.access")
"""Rooms of several capabilities: there the file is the module. In every other package, one
capability that outgrew one file, the package is. (The simulators keep tables of their own, each in
its own little database.)"""


OF_THE_MIGRATIONS = {"staff_roles", "role_permissions"}
"""What a role allows: data that no program of ours may change, not even by its own grants."""


def owner(module: str) -> str:
    parts = module.split(".")
    room = ".".join(parts[:2])
    return ".".join(parts[:3]) if room in OF_SEVERAL_MODULES else room


def written_in(file: Path) -> set[str]:
    in_sql = {table for text in texts(file) for table in targets(text)}
    copied = {
        call.args[0].value
        for call in ast.walk(tree(file))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "copy"  # Work.copy(table, columns, records)
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }
    return in_sql | {str(table) for table in copied}


def targets(sql: str) -> set[str]:
    """The tables that a statement writes."""
    return {table for found in WRITES.finditer(sql) for table in found.groups() if table}


def writers() -> dict[str, set[str]]:
    """Table -> the modules that write it."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in files("wallet", "notifications"):
        if not named(file).startswith("wallet.migrations"):
            for table in written_in(file):
                found[table].add(owner(named(file)))
    return found


def tables() -> set[str]:
    """Every table that the migrations make, partitions left out."""
    made: set[str] = set()
    for script in sorted((ROOT / "wallet/migrations/sql").glob("*.sql")):
        text = re.sub(r"--.*", "", script.read_text(encoding="utf-8"))
        for found in re.finditer(r"create table (?:if not exists )?(\w+)\s+(\w+)?", text):
            if found[2] != "partition":
                made.add(found[1])
        for old, new in re.findall(r"alter table (\w+) rename to (\w+);", text):
            made.discard(old)
            made.add(new)
    return made


def test_a_table_has_one_writer() -> None:
    shared = {table: sorted(by) for table, by in writers().items() if len(by) > 1}
    told = [f"{table} is written by {' and '.join(by)}" for table, by in shared.items()]
    assert not told


def test_every_table_has_a_writer_and_every_writer_a_table() -> None:
    assert set(writers()) == tables() - OF_THE_MIGRATIONS


def test_nobody_above_writes_tables() -> None:
    above = {named(file): written_in(file) for file in files("api", "runtime")}
    assert not {module: found for module, found in above.items() if found}


@pytest.mark.parametrize(
    ("sql", "table"),
    [
        ("insert into topups (id) values ($1)", "topups"),
        ("with a as (select 1)\nupdate  topups as t\nset state = 'SENT'", "topups"),
        ("update topups t set state = 'SENT'", "topups"),
        ("delete from only topups where id = $1", "topups"),
        ("insert into {} (id) values ($1)", "{}"),
        ("merge into topups using x on true", "topups"),
    ],
)
def test_a_write_is_recognised(sql: str, table: str) -> None:
    assert targets(sql) == {table}


@pytest.mark.parametrize(
    "sql",
    [
        "select * from topups for update of t skip locked",
        "insert into x values (1) on conflict (id) do update set a = 1",
    ],
)
def test_a_read_or_a_lock_is_no_write(sql: str) -> None:
    assert targets(sql) <= {"x"}

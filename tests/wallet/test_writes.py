"""Writes sent as one statement: each does what it would have done alone, in order, or all fail."""

from datetime import UTC, datetime

import pytest

from wallet.database import SerializationFailure
from wallet.identifiers import BankId, HolderId, new_id
from wallet.outcomes import Reason, Refused
from wallet.work import SYSTEM, Work, Works
from wallet.writes import Write, composed, missed

BANK = BankId("ACLEDA")
NOW = datetime(2026, 1, 15, tzinfo=UTC)
CLAIM = """
insert into idempotency (caller, act, key, fingerprint, at)
select $1, * from unnest($2::text[], $3::text[], $4::bytea[], $5::timestamptz[])
"""
ANSWER = """
update idempotency i set answer = a.answer::jsonb
from unnest($1::text[], $2::text[]) as a (key, answer) where i.key = a.key
"""


def test_each_write_keeps_its_own_parameters() -> None:
    one = Write(table="a", sql="delete from a where x = $1 and y = $2", arguments=(1, 2))
    other = Write(
        table="b",
        sql="delete from b where x = $1 and y in (select y from held)",
        arguments=(3,),
        first=(("held", "select y from b where z = $1 for update"),),
    )
    text, arguments = composed([one, other])
    assert arguments == [1, 2, 3]
    assert text == (
        "with w0 as (delete from a where x = $1 and y = $2 returning 1), "
        "held as materialized (select y from b where z = $3 for update), "
        "w1 as (delete from b where x = $3 and y in (select y from held) returning 1) "
        "select (select count(*) from w0), (select count(*) from w1)"
    )


def test_eleven_parameters_are_not_taken_for_one() -> None:
    writes = [
        Write(table="a", sql=f"delete from a where x = ${n}", arguments=tuple(range(11)))
        for n in (1, 11)
    ]
    text, _ = composed(writes)
    assert "x = $1 returning" in text
    assert "x = $22 returning" in text


def test_a_column_of_nulls_is_one_null_and_a_column_of_no_rows_is_not() -> None:
    write = Write(table="a", sql="", arguments=([None, None], [], [None, 1], [0, 0], [False]))
    assert composed([write])[1] == [None, [], [None, 1], [0, 0], [False]]


def test_the_first_write_that_missed_is_told() -> None:
    def write(rows: int | None, short: Exception | None = None) -> Write:
        return Write(table="t", sql="", arguments=(), rows=rows, short=short)

    again = SerializationFailure("again")
    assert missed([write(2), write(None)], [2, 0]) is None
    assert missed([write(2), write(1, again)], [2, 0]) is again
    assert isinstance(missed([write(2)], [3]), AssertionError)


async def _claim(work: Work, *keys: str, clash: Exception | None = None) -> None:
    columns = ["act"] * len(keys), list(keys), [b"f"] * len(keys), [NOW] * len(keys)
    work.store("idempotency", CLAIM, "me", *columns, clash=clash)


async def _keys(works: Works) -> list[tuple[str, object]]:
    async def read(work: Work) -> list[tuple[str, object]]:
        rows = await work.rows("select key, answer from idempotency order by key")
        return [(row["key"], row["answer"]) for row in rows]

    return await works.read(SYSTEM, BANK, read)


async def test_what_was_stored_is_there_for_whatever_is_asked_next(works: Works) -> None:
    async def act(work: Work) -> str:
        await _claim(work, "a", "b")
        assert await work.value("select count(*) from idempotency") == 2
        work.store("idempotency", ANSWER, ["a", "b"], ['{"n": 1}', None], rows=2)
        row = await work.row("select answer from idempotency where key = 'a'")
        assert row is not None
        assert row["answer"] == {"n": 1}
        return await work.execute("delete from idempotency where key = 'b'")

    assert await works.perform(SYSTEM, BANK, act) == "DELETE 1"
    assert await _keys(works) == [("a", {"n": 1})]


async def test_a_column_of_nulls_is_written_as_nulls(works: Works) -> None:
    async def act(work: Work) -> None:
        await _claim(work, "a", "b")
        await work.execute("update idempotency set answer = '1'")
        work.store("idempotency", ANSWER, ["a", "b"], [None, None], rows=2)

    await works.perform(SYSTEM, BANK, act)
    assert await _keys(works) == [("a", None), ("b", None)]


async def test_rows_with_events_and_notes_commit_in_one_statement_or_not_at_all(
    works: Works,
) -> None:
    runs = 0

    async def short(work: Work) -> None:
        nonlocal runs
        runs += 1
        work.note("x", "y", holder_id=HolderId(new_id()))
        await _claim(work, "a")
        work.store("idempotency", ANSWER, ["a"], ['{"n": 1}'], rows=1)  # not there as yet

    with pytest.raises(AssertionError, match="idempotency: 0 rows written, not 1"):
        await works.perform(SYSTEM, BANK, short)
    assert runs == 1
    assert await _keys(works) == []


async def test_a_write_over_another_version_is_run_again(works: Works) -> None:
    runs = 0

    async def act(work: Work) -> None:
        nonlocal runs
        runs += 1
        short = SerializationFailure("meanwhile")
        keys = ["a"] if runs > 1 else ["a", "gone"]
        await _claim(work, "a")
        assert await work.value("select 1") == 1
        work.store("idempotency", ANSWER, keys, ['"x"'] * len(keys), rows=len(keys), short=short)

    await works.perform(SYSTEM, BANK, act)
    assert runs == 2
    assert await _keys(works) == [("a", "x")]


async def test_a_clash_is_told_as_the_room_that_wrote_says(works: Works) -> None:
    async def act(work: Work) -> None:
        work.note("x", "y")
        await _claim(work, "a", clash=Refused(Reason.IN_FLIGHT))

    await works.perform(SYSTEM, BANK, act)
    with pytest.raises(Refused) as refused:
        await works.perform(SYSTEM, BANK, act)
    assert refused.value.reason is Reason.IN_FLIGHT
    assert len(await _keys(works)) == 1

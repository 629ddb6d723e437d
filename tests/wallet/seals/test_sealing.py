"""Every row is sealed once, in commit order, whoever is late, double or killed."""

import asyncio
import itertools
import time

import asyncpg
import pytest

from tests import world
from tests.wallet.seals.sealed import KEYS, SIGNER, PlainSigner, found, pay, seal_all, tamper
from wallet.database import Database
from wallet.identifiers import BankId, new_id
from wallet.outcomes import Refused
from wallet.seals import chain, leaves, merkle, sealing
from wallet.seals.leaves import ADDED, FIELDS, Log
from wallet.seals.proving import prove_seals
from wallet.seals.sealing import SealsBroken, header_of, leaves_of, signed_header_of
from wallet.work import SYSTEM, Actor, ActorKind, Work, Works

INSERT = """
insert into transfers (id, bank, phase, kind, debit_account_id, credit_account_id, amount_minor,
                       currency, at)
values ($1, 'ACLEDA', 'posted', 'transfer', 1, 2, 100, 'KHR', now())
"""


async def sealed_leaves(works: Works, log: Log) -> list[bytes]:
    """Every sealed leaf of a log, in the chain's order."""
    rows = await works.read(SYSTEM, None, lambda work: work.rows(
        "select leaves from seals where log = $1 order by number", int(log)
    ))  # fmt: skip
    return [leaf for row in rows for leaf in leaves_of(row)]


async def standing_leaves(works: Works, log: Log) -> list[bytes]:
    """The same from the rows themselves, hashed here and not by the server."""
    columns = ", ".join(
        "xid::text::bigint as xid" if name == "xid" else name
        for name in [*FIELDS[log], *ADDED[log]]
    )
    rows = await works.read(
        SYSTEM, None, lambda work: work.rows(f"select {columns} from {log.table} order by xid, seq")
    )
    return [merkle.leaf_hash(leaves.canonical(log, row)) for row in rows]


async def waiting_xmin(connection: asyncpg.Connection) -> None:
    """Let transactions of the tests' other databases end: they hold everybody's xmin."""
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        if not await connection.fetchval(
            "select 1 from pg_stat_activity "
            "where backend_xid is not null and pid <> pg_backend_pid()"
        ):
            return
        await asyncio.sleep(0.01)


async def test_the_server_and_this_program_make_the_same_leaves(works: Works) -> None:
    await pay(works, 30)
    await seal_all(works)
    for log in Log:
        standing = await standing_leaves(works, log)
        assert standing
        assert await sealed_leaves(works, log) == standing
    assert not await found(works)


async def test_columns_that_came_later_are_sealed_and_leave_old_rows_as_they_were(
    works: Works, database_url: str
) -> None:
    """A row without them has the bytes of before; filling one in, or taking it out, is found."""
    holder = await world.holder(works)

    async def look(work: Work) -> None:
        work.note("test.looked", "x", holder_id=holder.id, seen=("name", "staff_no"))

    clerk = Actor(kind=ActorKind.BANK_CLERK, id="clerk", bank=BankId("ACLEDA"))
    await works.perform(clerk, BankId("ACLEDA"), look)
    await pay(works, 1)
    await seal_all(works)
    assert await sealed_leaves(works, Log.AUDIT) == await standing_leaves(works, Log.AUDIT)
    assert not await found(works)
    of = {
        name: await tamper(database_url, f"select {name} from audit where act = 'test.looked'")
        for name in ADDED[Log.AUDIT]
    }
    assert of == {"on_behalf_of": "bank:ACLEDA", "seen": "name staff_no"}
    for act, change in itertools.product(
        ("test.looked", "test.paid"),
        ("seen = null", "on_behalf_of = null", "seen = 'phone'", "on_behalf_of = ''"),
    ):
        kept = await tamper(
            database_url, "select row(on_behalf_of, seen)::text from audit where act = $1", act
        )
        where = f"where act = '{act}'"
        await tamper(database_url, "alter table audit drop constraint if exists "
                     "audit_seen_of_somebody")  # fmt: skip
        await tamper(database_url, f"update audit set {change} {where}")
        now = await tamper(
            database_url, "select row(on_behalf_of, seen)::text from audit where act = $1", act
        )
        assert bool(await found(works)) == (now != kept), (act, change)
        values = "$1, $2" if act == "test.looked" else "nullif($1, $1), nullif($2, $2)"
        await tamper(
            database_url, f"update audit set (on_behalf_of, seen) = ({values}) {where}",
            of["on_behalf_of"], of["seen"],
        )  # fmt: skip
    assert not await found(works)


async def test_every_column_is_sealed(database: Database) -> None:
    """A column added later needs a new version of the leaf, or it could be changed unseen."""
    for log in Log:
        rows = await database.rows(
            "select attname, atttypid::bigint as type from pg_attribute "
            "where attrelid = $1::regclass and attnum > 0 and not attisdropped",
            log.table,
        )
        assert {row["attname"]: row["type"] for row in rows} == {**FIELDS[log], **ADDED[log]}


async def test_batches_are_bounded_chained_and_signed(works: Works) -> None:
    await pay(works, 30)
    await pay(works, 3)
    await seal_all(works, batch=8)
    rows = await works.read(SYSTEM, None, lambda work: work.rows(
        """select s.*, s.last_xid::text::bigint as last_xid, g.key_id, g.signature
           from seals s join seal_signatures g using (number) order by number"""
    ))  # fmt: skip
    journal = [row for row in rows if row["log"] == Log.TRANSFERS]
    assert [row["entries"] for row in journal] == [8, 8, 8, 8, 1]
    assert [row["position"] for row in journal] == [0, 8, 16, 24, 32]
    previous = chain.FIRST
    for number, row in enumerate(rows, 1):
        header = header_of(row)
        assert (header.number, header.previous) == (number, previous)
        assert chain.signature_fault(signed_header_of(row), KEYS) is None
        assert chain.Header.unpack(header.packed()) == header
        previous = header.hash()


async def test_a_late_commit_is_waited_for_and_nothing_is_sealed_twice(
    works: Works, database_url: str
) -> None:
    """Blnk chains what it finds after a pause: what commits later than that is skipped."""
    late = await asyncpg.connect(database_url)
    later = await asyncpg.connect(database_url)
    try:
        await pay(works, 5)
        held = late.transaction()
        await held.start()
        await late.execute(INSERT, new_id())
        held_later = later.transaction()
        await held_later.start()
        await later.fetchval("select pg_current_xact_id()")
        for _ in range(4):
            await pay(works, 5)
            await seal_all(works, batch=4)
        # Nothing of a transaction begun after the late one may go before it.
        assert len(await sealed_leaves(works, Log.TRANSFERS)) == 5
        await late.execute(INSERT, new_id())
        await held.commit()
        await pay(works, 5)
        await seal_all(works, batch=4)
        assert len(await sealed_leaves(works, Log.TRANSFERS)) == 7
        await later.execute(INSERT, new_id())
        await held_later.commit()
        await waiting_xmin(late)
        await seal_all(works, batch=4)
        await pay(works, 3)
        await waiting_xmin(late)
        await seal_all(works, batch=4)
        standing = await standing_leaves(works, Log.TRANSFERS)
        assert len(standing) == 5 + 4 * 5 + 2 + 5 + 1 + 3
        assert await sealed_leaves(works, Log.TRANSFERS) == standing
        assert not await found(works)
    finally:
        await late.close()
        await later.close()


@pytest.mark.parametrize("at_once", [2, sealing.BATCHES_AT_ONCE])
async def test_while_many_write_and_some_roll_back_each_row_is_sealed_once(
    works: Works, database_url: str, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """With few batches a step the sealer is always behind, and catches up."""
    monkeypatch.setattr(sealing, "BATCHES_AT_ONCE", at_once)

    async def write(lane: int) -> None:
        connection = await asyncpg.connect(database_url)
        for i in range(12):
            transaction = connection.transaction()
            await transaction.start()
            await connection.fetchval("select pg_current_xact_id()")
            await asyncio.sleep(0.001 * ((lane * 7 + i * 3) % 9))
            await connection.executemany(INSERT, [(new_id(),) for _ in range(1 + i % 4)])
            await asyncio.sleep(0.001 * ((lane + i) % 5))
            await (transaction.rollback() if (lane + i) % 5 == 0 else transaction.commit())
        await connection.close()

    async def seal(stop: asyncio.Event) -> None:
        while not stop.is_set():
            await sealing.step(works, SIGNER, batch=3)
            await asyncio.sleep(0)

    stop = asyncio.Event()
    sealers = [asyncio.create_task(seal(stop)) for _ in range(2)]
    await asyncio.gather(*(write(lane) for lane in range(6)))
    stop.set()
    await asyncio.gather(*sealers)
    connection = await asyncpg.connect(database_url)
    await waiting_xmin(connection)
    await seal_all(works, batch=3)
    standing = await standing_leaves(works, Log.TRANSFERS)
    assert len(standing) == await connection.fetchval("select count(*) from transfers") > 100
    assert await sealed_leaves(works, Log.TRANSFERS) == standing
    # The floor followed: what is sealed long since is not looked through again.
    floor = await connection.fetchval("select floor_seq from seal_positions where log = 1")
    assert floor > 100
    await connection.close()
    assert not await found(works)


async def test_while_one_seals_another_leaves_at_once(works: Works, database_url: str) -> None:
    await pay(works, 5)
    other = await asyncpg.connect(database_url)
    transaction = other.transaction()
    await transaction.start()
    await other.execute("select 1 from seal_positions for update")
    began = time.monotonic()
    assert await sealing.seal_next(works) == 0
    assert time.monotonic() - began < 1
    await transaction.rollback()
    await other.close()
    assert await sealing.seal_next(works) > 0


async def test_killed_between_sealing_and_signing_the_next_signs(works: Works) -> None:
    await pay(works, 20)
    while await sealing.seal_next(works, batch=8):
        pass
    assert not await found(works)  # young seals may wait for their signature
    await seal_all(works)
    unsigned = await works.read(SYSTEM, None, lambda work: work.value(
        "select count(*) from seals s left join seal_signatures g using (number) "
        "where g.number is null"
    ))  # fmt: skip
    assert unsigned == 0


DIE = """
create function die() returns trigger language plpgsql security definer as $$
begin perform pg_terminate_backend(pg_backend_pid()); return new; end $$;
"""
MOMENTS = {
    "sealing": "create trigger die before insert on seals for each row execute function die()",
    "moving on": "create trigger die before update on seal_positions for each row when "
    "(new.log = 2) execute function die()",
    "commit": "create constraint trigger die after insert on seals deferrable initially deferred "
    "for each row execute function die()",
    "signing": "create trigger die before insert on seal_signatures for each row when "
    "(new.number % 2 = 0) execute function die()",
}


async def test_killed_at_any_write_nothing_is_half_sealed(works: Works, database_url: str) -> None:
    """The sealer's own connection dies at that statement, five times over."""
    admin = await asyncpg.connect(database_url)
    for moment, trigger in MOMENTS.items():
        await pay(works, 20)
        table = "seal_signatures" if moment == "signing" else "seals"
        before = await admin.fetchval(f"select count(*) from {table}")
        await admin.execute(DIE + trigger)
        with pytest.raises(Refused):
            await sealing.step(works, SIGNER, batch=8)
        assert await admin.fetchval(f"select count(*) from {table}") == before, moment
        await admin.execute("drop function die cascade")
        await seal_all(works)
        standing = await standing_leaves(works, Log.TRANSFERS)
        assert await sealed_leaves(works, Log.TRANSFERS) == standing, moment
        assert not await found(works), moment
    await admin.close()


async def test_a_new_key_signs_and_what_the_old_one_signed_is_believed(works: Works) -> None:
    new = PlainSigner(2)
    await pay(works, 3)
    await sealing.step(works, SIGNER)
    await pay(works, 3)
    await sealing.step(works, new)
    published = await works.read(SYSTEM, None, sealing.published_keys)
    assert published == chain.keys_of([SIGNER.public_key, new.public_key])
    assert chain.read_keys(chain.key_lines(published)) == published
    assert await found(works)  # the old list does not know the new key
    assert (await prove_seals(works, published)).right


async def test_a_server_younger_than_its_seals_is_not_sealed_further(
    works: Works, database_url: str
) -> None:
    """A dump restored into a fresh server: new rows would sort before what is sealed."""
    await pay(works, 3)
    await seal_all(works)
    admin = await asyncpg.connect(database_url)
    await admin.execute("update seal_positions set xid = '9000000000'")
    await pay(works, 1)
    with pytest.raises(SealsBroken, match="younger server"):
        await sealing.seal_next(works)
    await admin.close()


async def test_idle_logs_cost_no_transaction(works: Works, database: Database) -> None:
    await pay(works, 3)
    await seal_all(works)
    before = await database.rows("select xmin::text, seq from seal_positions order by log")
    for _ in range(3):
        assert await sealing.step(works, SIGNER) == 0
    after = await database.rows("select xmin::text, seq from seal_positions order by log")
    assert after == before


async def test_the_first_row_of_a_log_that_was_long_empty_is_sealed(works: Works) -> None:
    """A sequence never used shows 1 as its last value, as one used once does."""
    for _ in range(4):
        await pay(works, 2, note=False)
        await seal_all(works)
    await pay(works, 2)
    await seal_all(works)
    assert len(await standing_leaves(works, Log.AUDIT)) == 1
    assert await sealed_leaves(works, Log.AUDIT) == await standing_leaves(works, Log.AUDIT)
    assert not await found(works)

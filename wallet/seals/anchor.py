"""Signed headers for outside: what ministry and banks keep, so that no end can be cut unseen.

Promise: a line of JSON a header, in order; a file is verified offline with the public keys, and
one later compared with the chain as it stands then. Who calls: runtime (`smartid seals`, `prove`).
"""

from collections.abc import AsyncIterator, Iterable
from typing import Final

import msgspec

from wallet.seals import chain
from wallet.seals.chain import SignedHeader
from wallet.seals.form import SealForm, read_seal, seal_form
from wallet.seals.sealing import signed_header_of
from wallet.work import SYSTEM, Work, Works

TOGETHER: Final = 1000


class BadChain(Exception):
    """Not a chain to be believed; the text says which line and why."""


async def export(works: Works, since: int = 0) -> AsyncIterator[bytes]:
    """Every signed header after number `since`, a line each, up to the first not yet signed."""
    while True:

        async def some(work: Work, after: int = since) -> list[SignedHeader]:
            return [signed_header_of(row) for row in await work.rows(_SIGNED, after, TOGETHER)]

        found = await works.read(SYSTEM, None, some)
        for signed in found:
            yield msgspec.json.encode(seal_form(signed)) + b"\n"
        if len(found) < TOGETHER:
            return
        since = found[-1].header.number


def verify(lines: Iterable[bytes], keys: chain.Keys) -> tuple[SignedHeader, SignedHeader]:
    """The first and the last header of a file, after every line was verified and found to follow
    the one before. Raises BadChain naming the line."""
    first = last = None
    for line_no, line in enumerate(lines, 1):
        try:
            signed = read_seal(msgspec.json.decode(line, type=SealForm))
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise BadChain(f"line {line_no}: not a signed header: {error}") from None
        header = signed.header
        fault = chain.signature_fault(signed, keys)
        if fault is not None:
            raise BadChain(f"line {line_no}: {fault}")
        if last is None:
            if header.number == 1 and header.previous != chain.FIRST:
                raise BadChain(f"line {line_no}: the first seal names one before it")
            first = signed
        elif header.number != last.header.number + 1 or header.previous != last.header.hash():
            raise BadChain(
                f"line {line_no}: seal {header.number} does not follow seal {last.header.number}"
            )
        last = signed
    if first is None or last is None:
        raise BadChain("the file is empty")
    return first, last


# A header without a signature is still to be signed; nothing after it is given out before it.
_SIGNED: Final = """
select s.number, s.version, s.previous, s.log, s.position, s.entries,
       s.last_xid::text::bigint as last_xid, s.last_seq, s.root, s.sealed_at, g.key_id, g.signature
from seals s join seal_signatures g on g.number = s.number
where s.number > $1 order by s.number limit $2
"""

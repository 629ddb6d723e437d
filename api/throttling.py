"""How often who may ask: one table of rates by class of route, and the gate every request passes.

Promise: a caller is limited by who they are (person, terminal, house), never by an address others
share; an address is limited only in what strangers do from it: opening sessions, beginning
pairings, showing tokens and signatures that are nobody's. The figures are configuration.

    class     who        what
    read      person     a holder's GET
    write     person     what a holder changes, payments included (two requests each)
    staff     person     a member of staff, whatever they ask
    freeze    person     a member of staff, what they freeze: besides staff
    machine   terminal   one ATM
              house      a bank's or an agency's systems together
    open      address    routes open to strangers
    failed    address    callers nobody knows: beyond it they hear 429 instead of 401

Devices have limits of their own where they sign in (`wallet.access.sessions`). Who calls: the
doors' guards, the express lane.
"""

import enum
import logging
from collections.abc import Awaitable, Generator
from ipaddress import ip_address, ip_network
from typing import Any, Final, TypeVar

from api.resources import RATES, Rate, Resources
from wallet.access.members import Member
from wallet.outcomes import Reason, Refused
from wallet.throttle import Admitted, RetryAfter

T = TypeVar("T")

_alarm: Final = logging.getLogger("smartid.alarm")


class RouteClass(enum.StrEnum):
    READ = "read"
    WRITE = "write"
    STAFF = "staff"
    FREEZE = "freeze"
    MACHINE = "machine"
    OPEN = "open"
    FAILED = "failed"


async def throttled(connection: Any, route: RouteClass, **who: str) -> None:
    """Take one from each bucket of this caller. Refuses: RATE_LIMITED."""
    await take(connection.app.state.resources, route, **who)


async def take(resources: Resources, route: RouteClass, **who: str) -> None:
    """As `throttled`, for who has the resources at hand. Refuses: RATE_LIMITED."""
    for kind, name in who.items():
        await begin(resources, route, kind, name)


async def within_freezes(resources: Resources, caller: Member) -> None:
    """Take one from what a member of staff may freeze, cards and Smart IDs alike; who is refused
    sets off the alarm. Refuses: RATE_LIMITED."""
    try:
        await take(resources, RouteClass.FREEZE, person=str(caller.id))
    except Refused:
        most = resources.policy.rates["freeze.person"].burst
        _alarm.critical("staff %s freezes more than %d", caller.id, most)
        raise


def begin(resources: Resources, route: RouteClass, kind: str, name: str) -> Awaitable[None]:
    """Take one at once; what comes of it is heard by waiting. Refuses: RATE_LIMITED."""
    burst, per_minute = resources.policy.rates[f"{route}.{kind}"]
    return _Within(resources.throttle.admit(f"{route}:{kind}:{name}", per_minute, burst))


class _Within(Awaitable[None]):
    """No coroutine: a caller who is gone before it is waited for leaves nothing unfinished."""

    def __init__(self, asked: Awaitable[Admitted | RetryAfter]) -> None:
        self._asked = asked

    def __await__(self) -> Generator[Any, Any, None]:
        admitted = yield from self._asked.__await__()
        if isinstance(admitted, RetryAfter):
            raise Refused(Reason.RATE_LIMITED, retry_after_s=admitted.seconds)


async def charging_strangers(connection: Any, naming: Awaitable[T]) -> T:
    """The caller, as `naming` finds; one nobody knows is charged to their address.

    Refuses: whatever `naming` refuses; RATE_LIMITED instead, once the address did it too often.
    """
    try:
        return await naming
    except Refused as refused:
        if refused.reason in _NOBODY:
            resources = connection.app.state.resources
            await take(resources, RouteClass.FAILED, address=address_in(connection.scope))
        raise


def address_in(scope: Any) -> str:
    """Whom an address stands for: a v6 host owns at least a /64, and is counted as that."""
    client = scope.get("client")
    try:
        address = ip_address(client[0] if client else "")
    except ValueError:
        return "unknown"
    if address.version == 4:
        return str(address)
    mapped = address.ipv4_mapped
    return str(mapped) if mapped else str(ip_network((address, 64), strict=False))


def read_rates(text: str) -> dict[str, Rate]:
    """`write.person=60/120,...` (burst/per minute) as the whole table, the rest as it stands.

    Raises ValueError, saying what is wrong.
    """
    rates = dict(RATES)
    for part in filter(None, (one.strip() for one in text.split(","))):
        name, _, figures = part.partition("=")
        burst, _, per_minute = figures.partition("/")
        if name not in RATES:
            raise ValueError(f"{name!r} is none of {', '.join(RATES)}")
        if not (_number(burst) and _number(per_minute)):
            raise ValueError(f"{name} takes burst/per-minute, as 60/120")
        rates[name] = Rate(int(burst), int(per_minute))
    return rates


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) <= 60_000_000


_NOBODY: Final = frozenset(
    {
        Reason.UNAUTHENTICATED,
        Reason.SIGNATURE_INVALID,
        Reason.SIGNATURE_STALE,
        Reason.SIGNATURE_REPLAYED,
        Reason.CERTIFICATE_UNKNOWN,
    }
)

"""Holders already signed in, for tests that are not about signing in."""

from datetime import timedelta
from uuid import UUID

from litestar import Litestar

from tests.world import WorldHolder
from wallet.access.sessions import HolderSession
from wallet.clock import Clock
from wallet.identifiers import DeviceId, HolderId
from wallet.outcomes import Reason, Refused


class SignedIn:
    """Stands in for sessions, which have tests of their own: each holder has one token."""

    def __init__(self, app: Litestar, clock: Clock) -> None:
        self._clock = clock
        self._holders: dict[str, WorldHolder] = {}
        app.state.recognition = self

    def headers(self, holder: WorldHolder) -> dict[str, str]:
        """What this holder's phone sends."""
        token = holder.id.hex.rjust(43, "t")
        self._holders[token] = holder
        return {"authorization": f"Bearer {token}"}

    def end(self, holder: WorldHolder) -> None:
        """The holder's session is over."""
        self._holders = {t: known for t, known in self._holders.items() if known.id != holder.id}

    async def stands(self, session: HolderSession) -> bool:
        return any(known.id == session.holder_id for known in self._holders.values())

    def last_seen(self, token: str) -> HolderId | None:
        return None

    async def of(self, token: str, *, reading: bool = False) -> HolderSession:
        holder = self._holders.get(token)
        if holder is None:
            raise Refused(Reason.UNAUTHENTICATED)
        return HolderSession(
            token_hash=bytes(32),
            holder_id=holder.id,
            device_id=DeviceId(UUID(int=holder.id.int ^ 1)),
            bank=holder.bank,
            language=holder.language,
            last_seen_at=self._clock.now(),
            expires_at=self._clock.now() + timedelta(minutes=5),
            cooling=False,
        )

"""Wires the demo: servers, simulators, seed, the story, the proof, and where to look.

Promise: what is printed happened; the exit status is 0 when the story and the books are right, 1
naming what failed. Nothing stays behind when it is stopped. Called by runtime.cli.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
from msgspec.structs import replace

from runtime import prove, seed
from runtime.children import free_port
from runtime.demo import people, story
from runtime.demo.memory import Memory
from runtime.demo.shopping import Shop
from runtime.resources import open_resources
from runtime.seal_keys import trusted_keys
from runtime.settings import Settings
from runtime.supervisor import Role, Supervisor, running
from simulators.officer import OfficerError
from simulators.phone import PhoneError
from wallet.identifiers import AgencyId

CLAIM_TTL_S: Final = 40
"""Instead of ten minutes, so that the story can show a card that nobody claims; longer than the
half minute that a fresh code may have to be waited for."""

TOPUP_GRACE_S: Final = 20
"""Instead of a minute: the operator here either knows a top-up at once or never heard of it."""

_FAILURES: Final = (people.StoryError, PhoneError, OfficerError, httpx.HTTPError)


def main(settings: Settings, *, once: bool = False) -> int:
    """Tell the story; then serve until told to stop, unless `once`. Answers the exit status."""
    settings.data.mkdir(parents=True, exist_ok=True)
    telco, sms, push = free_port(), free_port(), free_port()
    settings = replace(
        settings,
        claim_ttl_s=CLAIM_TTL_S,
        topup_grace_s=TOPUP_GRACE_S,
        simulation=True,
        operator_url=f"http://127.0.0.1:{telco}",
        sms_url=f"http://127.0.0.1:{sms}",
        push_url=f"http://127.0.0.1:{push}",
    )
    began = time.monotonic()
    roles = (
        _simulator("telco", telco, settings.data),
        _simulator("sms_gateway", sms, settings.data),
        _simulator("push_gateway", push, settings.data),
    )
    with running(settings, extra=roles, say=_say) as house:
        house.await_ready()
        _say(f"PostgreSQL, Redis, API and worker are up after {time.monotonic() - began:.1f} s")
        status = asyncio.run(_beside(house, _play(house.settings)))
        if not once and status == 0:
            _where_to_look(house.settings)
            house.run()
            _say("stopping")
    return status


async def _beside(house: Supervisor, play: Coroutine[Any, Any, int]) -> int:
    """Play while the supervisor keeps everything running; being told to stop ends both."""
    watching = asyncio.create_task(house.watch())
    playing = asyncio.create_task(play)
    await asyncio.wait({watching, playing}, return_when=asyncio.FIRST_COMPLETED)
    for task in (watching, playing):
        if not task.done():
            task.cancel()
    await asyncio.gather(watching, playing, return_exceptions=True)
    if playing.cancelled():
        return 1
    return playing.result()


async def _play(settings: Settings) -> int:
    async with AsyncExitStack() as stack:
        opened = partial(open_resources, settings, statement_timeout_s=60.0)
        resources = await people.patiently(lambda: stack.enter_async_context(opened()))
        seeded = await people.patiently(lambda: seed.run(resources, settings.data))
        _say(
            f"the programme's first day: {seeded.agencies} agencies, {seeded.applicants:,} "
            f"applicants, {seeded.by_state['HANDED_OVER']} cards handed over at "
            f"{seeded.agencies_with_cards} ministries"
        )
        try:
            await _story(settings)
        except _FAILURES as failed:
            _say(f"\nTHE STORY FAILED: {type(failed).__name__}: {failed}")
            return 1
        _say("\nThe books")
        keys = trusted_keys(settings)
        proved = partial(prove.tell, resources.works, keys, lambda line: _say(f"   {line}"))
        return 0 if await people.patiently(proved) else 1


async def _story(settings: Settings) -> None:
    data = settings.data
    memory = Memory(data / "demo-story.json")
    person = people.player_of(memory.day)
    period, half = memory.period
    async with httpx.AsyncClient(base_url=settings.base_url, timeout=15.0, trust_env=False) as web:
        code = person.agency.lower()
        cast = story.Cast(
            holder=people.Holder(
                web, person, data, memory, settings.sms_url or "", settings.push_url or ""
            ),
            maker=people.officer(web, data, f"{code}.maker", settings.public_host),
            checker=people.officer(web, data, f"{code}.checker", settings.public_host),
            agent=people.officer(web, data, "support.agent", settings.public_host),
            supervisor=people.officer(web, data, "support.supervisor1", settings.public_host),
            host=people.atm_host(web, data, people.BANK, settings.public_host),
            shop=Shop(web, people.BANK),
            memory=memory,
            agency=person.agency,
            salary_file=seed.salary_file(AgencyId(person.agency), period=period, half=half),
            claim_ttl_s=settings.claim_ttl_s,
        )
        await story.tell(cast, _say)
    memory.end()


def _simulator(name: str, port: int, data: Path) -> Role:
    books = data / f"simulator-{name}.sqlite"
    return Role(
        name=f"simulator {name}",
        command=[
            sys.executable, "-m", f"simulators.{name}", "--port", str(port), "--books", str(books),
        ],
    )  # fmt: skip


def _where_to_look(settings: Settings) -> None:
    url = settings.base_url
    _say(
        f"\nIt keeps serving. Where to look:\n"
        f"   the API, request by request   {url}/docs\n"
        f"   is it well                    {url}/health/ready   {url}/metrics\n"
        f"   an imagined card network     {url}/v1/sim/... (authorise, clear, reverse, ...)\n"
        f"   the phone operators' books    {settings.operator_url}/books\n"
        f"   texts that were sent          {settings.sms_url}/messages\n"
        f"   what was pushed, sealed       {settings.push_url}/pushes\n"
        f"   logins of officers, clerks and support, with passphrases and code secrets:\n"
        f"      {settings.data / 'demo-logins.json'}\n"
        f"   prove the books again: smartid --data '{settings.data}' prove\n"
        f"Ctrl-C ends everything."
    )


_say: Callable[[str], None] = partial(print, flush=True)

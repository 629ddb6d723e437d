"""Whatever a network sends, in whatever order: books, limits and purchases agree, and what is held
and taken together is never beyond what was allowed, but for what was forced, which has a case."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.wallet.authorisations.till import Till
from wallet.authorisations.messages import Kind, Message
from wallet.outcomes import Done

AMOUNTS = st.integers(min_value=0, max_value=9_000)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                Kind.AUTHORIZATION,
                Kind.AUTHORIZATION,
                Kind.FINANCIAL,
                Kind.INCREMENT,
                Kind.ADVICE,
                Kind.REVERSAL,
                Kind.EXPIRY,
                Kind.CLEARING,
                Kind.CLEARING,
                Kind.FORCE_POST,
                Kind.RETURN,
                Kind.RETURN_REVERSAL,
            ]
        ),
        AMOUNTS,
        st.integers(min_value=0, max_value=5),  # of which purchase
        st.booleans(),  # of a clearing: the last; of a reversal: in full; of an ask: a part will do
        st.booleans(),  # sent twice
    ),
    max_size=14,
)
FIRST = {Kind.AUTHORIZATION, Kind.FINANCIAL}


Steps = list[tuple[Kind, int, int, bool, bool]]
FREE = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12
)


@FREE
@given(steps=STEPS)
async def test_any_messages_leave_everything_in_agreement(till: Till, steps: Steps) -> None:
    await all_agrees_after(till, steps)


@pytest.mark.long
@settings(FREE, max_examples=500, phases=[Phase.generate])
@given(steps=STEPS)
async def test_any_messages_leave_everything_in_agreement_500_times(
    till: Till, steps: Steps
) -> None:
    """Not made simpler when it fails: planted faults are looked for by it."""
    await all_agrees_after(till, steps)


async def all_agrees_after(till: Till, steps: Steps) -> None:
    await till.open(khr=20_000)
    begun: list[Message] = []
    for kind, minor, which, flag, twice in steps:
        of = begun[which % len(begun)] if begun and kind not in FIRST else None
        if of is None and kind in (
            Kind.INCREMENT,
            Kind.REVERSAL,
            Kind.EXPIRY,
            Kind.RETURN_REVERSAL,
        ):
            of = till.message(Kind.AUTHORIZATION, minor)  # one that has not come yet
            begun.append(of)
        bare = kind is Kind.EXPIRY or (kind is Kind.REVERSAL and flag)
        message = till.message(
            kind, None if bare else minor, of=of, final=flag, partial_ok=flag and kind in FIRST
        )
        if kind in FIRST or of is None:
            begun.append(message)
        answer = await till.ask(message)
        if twice:
            assert await till.ask(message) == answer
        posted, held = await till.balance()
        assert 0 <= held <= posted
        await _within(till, of or message, answer_of=isinstance(answer, Done))
    await till.prove()


async def _within(till: Till, message: Message, *, answer_of: bool) -> None:
    """Held and taken is at most what was allowed, unless a case says otherwise."""
    life = await till.life(message)
    now = life.standing
    if now.open_s + now.cleared_s > now.allowed_s and answer_of:
        assert life.purchase is not None
        assert await till.has_case(life.purchase.id)

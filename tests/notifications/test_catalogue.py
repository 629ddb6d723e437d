"""Every event has words in both languages, and they fit where they must."""

import typing
from datetime import UTC, datetime
from typing import Any

import pytest

from notifications.catalogue import in_words
from wallet.events import Event, SalaryPaid
from wallet.identifiers import HolderId, new_id
from wallet.money import Money

EVENTS = typing.get_args(Event)


def example(kind: type[Any]) -> Event:
    values: dict[str, Any] = {}
    for name, hint in typing.get_type_hints(kind).items():
        if hint is Money:
            values[name] = Money.khr(1_309_477)
        elif hint is int:
            values[name] = 2
        elif hint is bool:
            values[name] = True
        elif hint is datetime:
            values[name] = datetime(2026, 1, 12, tzinfo=UTC)
        elif name == "holder_id":
            values[name] = HolderId(new_id())
        else:
            values[name] = "1234"
    made: Event = kind(**values)
    return made


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__struct_config__.tag)
@pytest.mark.parametrize("language", ["km", "en"])
def test_every_event_is_told_in_words(kind: type[Any], language: str) -> None:
    notice = in_words(example(kind), language)
    assert notice.title
    assert notice.text
    assert "{" not in notice.text
    khmer = any("\u1780" <= letter <= "\u17ff" for letter in notice.text)
    assert khmer == (language == "km")


def test_a2_5_the_amount_is_shown_to_the_riel_and_fits_one_sms() -> None:
    event = SalaryPaid(
        holder_id=HolderId(new_id()),
        money=Money.khr(1_309_477),
        agency="MoEYS",
        period="2026-01",
        half=2,
        account_last_four="1234",
        run_id="x",
    )
    assert "1,309,477" in in_words(event, "en").text
    khmer = in_words(event, "km").text
    assert "១,៣០៩,៤៧៧" in khmer
    assert len(khmer.encode("utf-16-le")) // 2 <= 70

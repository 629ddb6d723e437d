"""A control sheet in sentences: what a holder reads and signs, rule by rule, in both languages.

Promise: both languages say the same; every rule of the sheet stands in the words (a list entry by
entry), so what is signed is what will hold; nothing is said of a card but its last four digits.
Pure. Who calls: setting.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from wallet.controls.sheets import AnyList, ControlSheet, Hours, Spend
from wallet.limits import Channel, Window
from wallet.money import Money


class Sentence(Struct, frozen=True):
    en: str
    km: str


def setting(last_four: str, sheet: ControlSheet) -> Sentence:
    """`last_four`: of the card; empty for all of the holder's."""
    parts = [*_amounts(sheet.spend), *_lists(sheet), *_hours(sheet.hours)]
    whose = (
        Sentence(f"card •••• {last_four}", f"កាត •••• {last_four}")
        if last_four
        else Sentence("all your cards", "កាតទាំងអស់របស់អ្នក")
    )
    if not parts:
        return Sentence(
            f"Remove all your own controls of {whose.en}.",
            f"លុបការកំណត់ផ្ទាល់ខ្លួនទាំងអស់របស់អ្នកលើ{whose.km}។",
        )
    return Sentence(
        f"Allow {whose.en}, in place of what you allowed before: "
        + "; ".join(part.en for part in parts)
        + ".",
        f"អនុញ្ញាត{whose.km} ជំនួសការកំណត់មុន៖ " + "; ".join(part.km for part in parts) + "។",
    )


_WINDOWS: Final = {
    Window.PAYMENT: Sentence("a purchase", "ក្នុងការទិញម្តង"),
    Window.DAY: Sentence("a day", "ក្នុងមួយថ្ងៃ"),
    Window.MONTH: Sentence("a month", "ក្នុងមួយខែ"),
    Window.LIFETIME: Sentence("in all", "សរុបទាំងអស់"),
}
_CHANNELS: Final = {
    Channel.APP: Sentence("app", "កម្មវិធី"),
    Channel.ATM: Sentence("ATM", "ATM"),
    Channel.POS: Sentence("shops", "ម៉ាស៊ីនទូទាត់នៅហាង"),
    Channel.ONLINE: Sentence("online", "អនឡាញ"),
    Channel.RECURRING: Sentence("recurring", "ការបង់ប្រាក់ដដែលៗ"),
}
_DAYS: Final = (
    Sentence("Mon", "ចន្ទ"),
    Sentence("Tue", "អង្គារ"),
    Sentence("Wed", "ពុធ"),
    Sentence("Thu", "ព្រហស្បតិ៍"),
    Sentence("Fri", "សុក្រ"),
    Sentence("Sat", "សៅរ៍"),
    Sentence("Sun", "អាទិត្យ"),
)
_LISTS: Final = {
    "channels": Sentence("channels", "មធ្យោបាយ"),
    "countries": Sentence("countries", "ប្រទេស"),
    "mccs": Sentence("kinds of shop", "ប្រភេទហាង"),
    "merchants": Sentence("merchants", "អ្នកលក់"),
}


def _amounts(spends: Sequence[Spend]) -> list[Sentence]:
    said = []
    for spend in spends:
        window = _WINDOWS[spend.window]
        if spend.most_minor is not None:
            most = Money(spend.most_minor, spend.currency)
            said.append(
                Sentence(
                    f"at most {most.display('en')} {window.en}",
                    f"មិនលើស {most.display('km')} {window.km}",
                )
            )
        if spend.most_count is not None:
            code = spend.currency.value
            said.append(
                Sentence(
                    f"at most {spend.most_count} purchases in {code} {window.en}",
                    f"ទិញមិនលើស {spend.most_count} ដងជា {code} {window.km}",
                )
            )
    return said


def _lists(sheet: ControlSheet) -> list[Sentence]:
    said = []
    for field, name in _LISTS.items():
        listed: AnyList = getattr(sheet, field)
        if listed.allow is not None:
            entries = _entries(listed.allow)
            said.append(
                Sentence(f"only these {name.en}: {entries.en}", f"តែ{name.km}៖ {entries.km}")
            )
        if listed.deny:
            entries = _entries(listed.deny)
            said.append(
                Sentence(f"not these {name.en}: {entries.en}", f"មិនមែន{name.km}៖ {entries.km}")
            )
    return said


def _entries(entries: Sequence[str]) -> Sentence:
    if not entries:
        return Sentence("none", "គ្មាន")
    said = [_CHANNELS[e] if isinstance(e, Channel) else Sentence(e, e) for e in entries]
    return Sentence(", ".join(one.en for one in said), ", ".join(one.km for one in said))


def _hours(hours: Sequence[Hours] | None) -> list[Sentence]:
    if hours is None:
        return []
    if not hours:
        return [Sentence("at no time", "គ្មានពេលណាអនុញ្ញាតទេ")]
    said = []
    for one in hours:
        days = [_DAYS[day - 1] for day in sorted(set(one.days))]
        said.append(
            Sentence(
                f"{' '.join(day.en for day in days)} from {one.begin} to {one.end}",
                f"{' '.join(day.km for day in days)} ពីម៉ោង {one.begin} ដល់ {one.end}",
            )
        )
    return [
        Sentence("only " + " and ".join(s.en for s in said), "តែ" + " និង ".join(s.km for s in said))
    ]

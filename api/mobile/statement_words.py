"""The words of a statement, in Khmer and English.

Promise: every kind of transfer has its words; a kind they do not know yet is told plainly, never
left out. Who calls: statement_files.
"""

from typing import Final

KINDS: Final[dict[str, tuple[str, str]]] = {
    "opening": ("សមតុល្យផ្ទេរចូលដំបូង", "Opening credit"),
    "salary": ("ប្រាក់បៀវត្ស", "Salary"),
    "card_purchase": ("ទិញដោយកាត", "Card purchase"),
    "card_return": ("ប្រាក់សងពីហាង", "Card refund"),
    "card_exchange": ("ប្តូរប្រាក់សម្រាប់ការទិញ", "Exchange of a card purchase"),
    "qr_payment": ("ទូទាត់តាម KHQR", "KHQR payment"),
    "topup": ("បញ្ចូលលុយទូរស័ព្ទ", "Phone top-up"),
    "topup_return": ("ប្រគល់វិញនូវការបញ្ចូលលុយទូរស័ព្ទ", "Top-up returned"),
    "card_fee": ("ថ្លៃសេវាកាត", "Card fee"),
    "transfer": ("ផ្ទេរប្រាក់", "Transfer"),
    "refund": ("សងប្រាក់វិញ", "Refund"),
    "provisional_credit": ("ប្រាក់ឥណទានបណ្តោះអាសន្ន", "Provisional credit"),
    "correction": ("កែតម្រូវ", "Correction"),
    "fee": ("ថ្លៃសេវា", "Fee"),
    "exchange": ("ប្តូរប្រាក់", "Exchange"),
    "exchange_spread": ("គម្លាតអត្រាប្តូរប្រាក់", "Exchange spread"),
    "exchange_rounding": ("ការបង្គត់លេខពេលប្តូរប្រាក់", "Exchange rounding"),
    "reversal": ("បញ្ច្រាសប្រតិបត្តិការ", "Reversal"),
    "closing": ("បិទគណនី", "Account closing"),
}
UNKNOWN: Final = "ប្រតិបត្តិការ"

MONTHS: Final = (
    "មករា",
    "កុម្ភៈ",
    "មីនា",
    "មេសា",
    "ឧសភា",
    "មិថុនា",
    "កក្កដា",
    "សីហា",
    "កញ្ញា",
    "តុលា",
    "វិច្ឆិកា",
    "ធ្នូ",
)

OPENING: Final = ("សមតុល្យដើមគ្រា", "Opening balance")
CLOSING: Final = ("សមតុល្យចុងគ្រា", "Closing balance")


def of_kind(kind: str) -> tuple[str, str]:
    """A transfer's kind in Khmer and in English."""
    return KINDS.get(kind, (UNKNOWN, kind.replace("_", " ").capitalize()))

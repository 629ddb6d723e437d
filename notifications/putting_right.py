"""The words of what was put right: cases ended, money given back, forced payments settled.

Who calls: catalogue.
"""

from typing import Final

from notifications.words import Words
from wallet import events
from wallet.events import Event


def dispute_closed(event: Event) -> Words:
    assert isinstance(event, events.DisputeClosed)  # noqa: S101 - the table's own key
    return _DISPUTE_ENDS.get(event.disposition, _DISPUTE_ANY)


def dispute_refunded(event: Event) -> Words:
    assert isinstance(event, events.DisputeRefunded)  # noqa: S101 - the table's own key
    return _REFUNDED if event.fee is None else _REFUNDED_WITH_FEE


def shortfall_settled(event: Event) -> Words:
    assert isinstance(event, events.ShortfallSettled)  # noqa: S101 - the table's own key
    return _SETTLED.get(event.how, _SETTLED_ANY)


_REFUNDED: Final = Words(
    "Money given back",
    "Case {case_number}: {money} is back in your wallet.",
    "បានសងប្រាក់វិញ",
    "សំណុំរឿង {case_number}៖ {money} ត្រូវបានសងចូលកាបូបរបស់អ្នក។",
)
_REFUNDED_WITH_FEE: Final = Words(
    "Money given back",
    "Case {case_number}: {money} is back in your wallet, and its fee of {fee} too.",
    "បានសងប្រាក់វិញ",
    "សំណុំរឿង {case_number}៖ {money} និងថ្លៃសេវា {fee} ត្រូវបានសងចូលកាបូបរបស់អ្នក។",
)
_SETTLED: Final = {
    "taken": Words(
        "An open payment was settled",
        "{money} was taken from your wallet for a payment that it could not cover at the time. "
        "If you do not know this payment, call your bank.",
        "ការទូទាត់ដែលនៅសល់ត្រូវបានបង់រួច",
        "{money} ត្រូវបានដកពីកាបូបរបស់អ្នក សម្រាប់ការទូទាត់មួយដែលប្រាក់មិនគ្រប់គ្រាន់នៅពេលនោះ។ "
        "បើអ្នកមិនស្គាល់ការទូទាត់នេះ សូមហៅធនាគាររបស់អ្នក។",
    ),
    "given": Words(
        "Money that waited for you",
        "{money} that could not reach your wallet while it was closed is in it now.",
        "ប្រាក់ដែលរង់ចាំអ្នកបានចូលហើយ",
        "{money} ដែលមិនអាចចូលកាបូបរបស់អ្នកពេលវាបិទ ឥឡូវបានចូលហើយ។",
    ),
    "borne": Words(
        "Your bank settled an open payment",
        "Your bank paid {money} of a payment that your wallet could not cover. You owe nothing "
        "for it.",
        "ធនាគាររបស់អ្នកបានបង់ការទូទាត់ដែលនៅសល់",
        "ធនាគាររបស់អ្នកបានបង់ {money} ជំនួសអ្នក សម្រាប់ការទូទាត់ដែលប្រាក់ក្នុងកាបូបមិនគ្រប់គ្រាន់។ អ្នកមិនជំពាក់អ្វីទេ។",
    ),
    "kept": Words(
        "Money for your closed wallet",
        "{money} came for your wallet while it was closed and is with your bank. Ask your bank if "
        "it is yours to have.",
        "ប្រាក់សម្រាប់កាបូបដែលបានបិទ",
        "{money} បានផ្ញើមកកាបូបរបស់អ្នកពេលវាបិទ ហើយនៅធនាគាររបស់អ្នក។ បើអ្នកគិតថាប្រាក់នេះជារបស់អ្នក សូមសួរធនាគារ។",
    ),
}
_SETTLED_ANY: Final = Words(
    "An open payment was settled",
    "A payment of {money} that had stayed open is settled. Ask your bank for what it was.",
    "ការទូទាត់ដែលនៅសល់ត្រូវបានដោះស្រាយ",
    "ការទូទាត់ {money} ដែលនៅសល់ត្រូវបានដោះស្រាយហើយ។ សូមសួរធនាគាររបស់អ្នកសម្រាប់ព័ត៌មានលម្អិត។",
)
_DISPUTE_ENDS: Final = {
    "WON": Words(
        "Case closed in your favour",
        "Case {case_number} is closed: all of the money is given back.",
        "សំណុំរឿងបានបិទ៖ អ្នកឈ្នះ",
        "សំណុំរឿង {case_number} ត្រូវបានបិទ៖ ទឹកប្រាក់ទាំងអស់ត្រូវបានសងវិញ។",
    ),
    "PARTIALLY_WON": Words(
        "Case closed",
        "Case {case_number} is closed: part of the money is given back, the rest is not.",
        "សំណុំរឿងត្រូវបានបិទ",
        "សំណុំរឿង {case_number} ត្រូវបានបិទ៖ ទឹកប្រាក់មួយផ្នែកត្រូវបានសងវិញ។",
    ),
    "DENIED": Words(
        "Case closed",
        "Case {case_number} is closed: nothing is given back. You may call support.",
        "សំណុំរឿងត្រូវបានបិទ",
        "សំណុំរឿង {case_number} ត្រូវបានបិទ៖ មិនមានការសងប្រាក់វិញទេ។ អ្នកអាចហៅផ្នែកជំនួយ។",
    ),
    "WITHDRAWN": Words(
        "Case closed",
        "Case {case_number} is closed: you withdrew it.",
        "សំណុំរឿងត្រូវបានបិទ",
        "សំណុំរឿង {case_number} ត្រូវបានបិទ៖ អ្នកបានដកពាក្យតវ៉ាវិញ។",
    ),
}
_DISPUTE_ANY: Final = Words(
    "Case closed",
    "Case {case_number} is closed: {disposition}.",
    "សំណុំរឿងត្រូវបានបិទ",
    "សំណុំរឿង {case_number} ត្រូវបានបិទ៖ {disposition}។",
)

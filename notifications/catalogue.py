"""Every event in words: a title and a sentence, in Khmer and in English.

Promise: total over `Event` (a test holds it); amounts are shown un-rounded in the reader's
digits; a salary notice fits one SMS segment (70 UCS-2 units). Who calls: inbox, channels.
"""

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from notifications.declines import explained
from notifications.putting_right import dispute_closed, dispute_refunded, shortfall_settled
from notifications.words import Words as _Words
from wallet import events
from wallet.events import Event
from wallet.money import Money

KHMER_DIGITS: Final = str.maketrans("0123456789", "០១២៣៤៥៦៧៨៩")


class Notice(Struct, frozen=True, kw_only=True):
    title: str
    text: str


def in_words(event: Event, language: str) -> Notice:
    """The notice of an event in `language` (`km` or `en`)."""
    words = _words_of(event)
    fields = {
        name: _shown(name, getattr(event, name), language) for name in event.__struct_fields__
    }
    if language == "km":
        return Notice(title=words.title_km, text=words.text_km.format(**fields))
    return Notice(title=words.title_en, text=words.text_en.format(**fields))


def _words_of(event: Event) -> _Words:
    found = _CATALOGUE[type(event)]
    return found(event) if callable(found) else found


def _shown(name: str, value: Any, language: str) -> str:
    if isinstance(value, Money):
        return value.display(language)
    if language == "km" and name in ("half", "period", "account_last_four", "last_four"):
        return str(value).translate(KHMER_DIGITS)
    return str(value)


def _purchase_declined(event: Event) -> _Words:
    assert isinstance(event, events.PurchaseDeclined)  # noqa: S101 - the table's own key
    why = explained(event.reason)
    return _Words(
        "Card purchase declined",
        "{merchant}, {money}, card ••{last_four}: " + why.en,
        "ការទិញដោយកាតត្រូវបានបដិសេធ",
        "{merchant} {money} កាត ••{last_four}៖ " + why.km,
    )


def _purchase_released(event: Event) -> _Words:
    assert isinstance(event, events.PurchaseReleased)  # noqa: S101 - the table's own key
    return _RELEASED.get(event.cause, _RELEASED_ANY)


def _card_changed(event: Event) -> _Words:
    assert isinstance(event, events.CardChanged)  # noqa: S101 - the table's own key
    return _CARD_CAUSES.get(event.cause) or _CARD_STATES.get(event.state, _CARD_ANY)


def _token_changed(event: Event) -> _Words:
    assert isinstance(event, events.CardTokenChanged)  # noqa: S101 - the table's own key
    return _TOKEN_STATES.get(event.state, _TOKEN_STATES["SUSPENDED"])


def _smart_id_changed(event: Event) -> _Words:
    assert isinstance(event, events.SmartIdPaymentChanged)  # noqa: S101 - the table's own key
    state = "CARDS_KEPT" if event.cards_kept else event.state
    return _SMART_ID_STATES.get(state, _SMART_ID_ANY)


def _controls_changed(event: Event) -> _Words:
    assert isinstance(event, events.ControlsChanged)  # noqa: S101 - the table's own key
    return _CONTROLS[bool(event.last_four), event.looser]


def _security(event: Event) -> _Words:
    assert isinstance(event, events.SecurityNotice)  # noqa: S101 - the table's own key
    return _SECURITY.get(event.what, _SECURITY_ANY)


def _device_paired(event: Event) -> _Words:
    assert isinstance(event, events.DevicePaired)  # noqa: S101 - the table's own key
    return _DEVICE_REPLACED if event.replaced else _DEVICE_FIRST


_CARD_STATES: Final = {
    "ACTIVE": _Words(
        "Virtual card ready",
        "Your virtual card ending {last_four} can be used.",
        "កាតនិម្មិតរួចរាល់",
        "កាតនិម្មិតបញ្ចប់ដោយលេខ {last_four} អាចប្រើបាន។",
    ),
    "FROZEN": _Words(
        "Virtual card frozen",
        "Your virtual card ending {last_four} is frozen. Unfreeze it in the app.",
        "កាតនិម្មិតត្រូវបានបង្កក",
        "កាតនិម្មិតបញ្ចប់ដោយលេខ {last_four} ត្រូវបានបង្កក។ អាចដោះបង្កកក្នុងកម្មវិធី។",
    ),
    "CLOSED": _Words(
        "Virtual card closed",
        "Your virtual card ending {last_four} is closed for good.",
        "កាតនិម្មិតត្រូវបានបិទ",
        "កាតនិម្មិតបញ្ចប់ដោយលេខ {last_four} ត្រូវបានបិទជាស្ថាពរ។",
    ),
    "REVERSED": _Words(
        "Virtual card cancelled",
        "The ATM cancelled the card ending {last_four}. Nothing was charged.",
        "កាតនិម្មិតត្រូវបានលុប",
        "ATM បានលុបកាតបញ្ចប់ដោយលេខ {last_four}។ មិនមានការកាត់ប្រាក់ទេ។",
    ),
    "EXPIRED": _Words(
        "Virtual card expired",
        "The card ending {last_four} has expired.",
        "កាតនិម្មិតផុតកំណត់",
        "កាតបញ្ចប់ដោយលេខ {last_four} បានផុតកំណត់។",
    ),
}
_CARD_ANY: Final = _Words(
    "Virtual card changed",
    "Your virtual card ending {last_four} is now {state}.",
    "កាតនិម្មិតមានការផ្លាស់ប្តូរ",
    "កាតនិម្មិតបញ្ចប់ដោយលេខ {last_four} ឥឡូវស្ថិតក្នុងស្ថានភាព {state}។",
)
_CARD_CAUSES: Final = {
    "single_use_spent": _Words(
        "Single-use card used",
        "Your single-use card ending {last_four} has paid once and is closed.",
        "កាតប្រើតែម្តងបានប្រើហើយ",
        "កាតប្រើតែម្តងបញ្ចប់ដោយលេខ {last_four} បានបង់ប្រាក់ម្តង ហើយត្រូវបានបិទ។",
    ),
    "locked_to_merchant": _Words(
        "Card locked to its shop",
        "Your card ending {last_four} now pays only the shop it has just paid.",
        "កាតបានភ្ជាប់នឹងហាងរបស់វា",
        "កាតបញ្ចប់ដោយលេខ {last_four} ចាប់ពីពេលនេះបង់បានតែហាងដែលវាទើបបង់ប៉ុណ្ណោះ។",
    ),
    "answered_too_late": _Words(
        "Card usable as before",
        "The shop did not get our answer in time and was not paid. Your card ending {last_four} "
        "can be used as before.",
        "កាតអាចប្រើបានដូចមុន",
        "ហាងមិនបានទទួលចម្លើយរបស់យើងទាន់ពេល ហើយមិនបានទទួលប្រាក់ទេ។ កាតបញ្ចប់ដោយលេខ {last_four} អាចប្រើបានដូចមុន។",
    ),
    "wrong_details": _Words(
        "Somebody typed wrong card details",
        "The security code of your card ending {last_four} was typed wrong too often and locked. "
        "Show the card in the app to unlock it; if it was not you, replace the card.",
        "មានគេវាយព័ត៌មានកាតខុស",
        "លេខកូដសុវត្ថិភាពនៃកាតបញ្ចប់ដោយលេខ {last_four} ត្រូវបានវាយខុសច្រើនដង ហើយត្រូវបានចាក់សោ។ "
        "សូមបើកមើលកាតក្នុងកម្មវិធីដើម្បីដោះសោ បើមិនមែនអ្នកទេ សូមជំនួសកាត។",
    ),
    "replacement": _Words(
        "New card number ready",
        "The card that replaces your old one ends in {last_four} and can be used.",
        "លេខកាតថ្មីរួចរាល់",
        "កាតដែលជំនួសកាតចាស់របស់អ្នកបញ្ចប់ដោយលេខ {last_four} ហើយអាចប្រើបាន។",
    ),
    "replaced": _Words(
        "Old card number stopped",
        "Your card ending {last_four} was replaced; its number no longer pays.",
        "លេខកាតចាស់ឈប់ប្រើបាន",
        "កាតបញ្ចប់ដោយលេខ {last_four} ត្រូវបានជំនួស លេខនេះមិនអាចបង់ប្រាក់ទៀតទេ។",
    ),
    "smart_id_replaced": _Words(
        "Card moved to your new Smart ID",
        "Your virtual card ending {last_four} goes on with your new Smart ID.",
        "កាតបានប្តូរទៅ Smart ID ថ្មី",
        "កាតនិម្មិតបញ្ចប់ដោយលេខ {last_four} បន្តប្រើជាមួយ Smart ID ថ្មីរបស់អ្នក។",
    ),
}
_TOKEN_STATES: Final = {
    "ACTIVE": _Words(
        "Card added to a phone",
        "Your card ending {last_four} can pay from {device}. Not you? Freeze the card now.",
        "បានបន្ថែមកាតទៅទូរស័ព្ទ",
        "កាតបញ្ចប់ដោយលេខ {last_four} អាចបង់ប្រាក់ពី {device} បាន។ មិនមែនអ្នកទេ? សូមបង្កកកាតភ្លាម។",
    ),
    "SUSPENDED": _Words(
        "Card paused on a phone",
        "Your card ending {last_four} cannot pay from {device} for now.",
        "កាតបានផ្អាកលើទូរស័ព្ទ",
        "កាតបញ្ចប់ដោយលេខ {last_four} មិនអាចបង់ប្រាក់ពី {device} បានជាបណ្តោះអាសន្ន។",
    ),
    "DELETED": _Words(
        "Card taken out of a phone",
        "Your card ending {last_four} no longer pays from {device}.",
        "បានដកកាតចេញពីទូរស័ព្ទ",
        "កាតបញ្ចប់ដោយលេខ {last_four} មិនអាចបង់ប្រាក់ពី {device} ទៀតទេ។",
    ),
}
_SMART_ID_STATES: Final = {
    "FROZEN": _Words(
        "Smart ID payments frozen",
        "Your Smart ID and its virtual cards are frozen. Salary still arrives; the ID stays valid.",
        "ការទូទាត់ដោយ Smart ID ត្រូវបានបង្កក",
        "Smart ID និងកាតនិម្មិតរបស់អ្នកត្រូវបានបង្កក។ ប្រាក់បៀវត្សនៅតែចូល ហើយអត្តសញ្ញាណនៅមានសុពលភាព។",
    ),
    "CARDS_KEPT": _Words(
        "Smart ID frozen, virtual cards go on",
        "Your Smart ID is frozen; its virtual cards go on, as you chose. Not you? Call support.",
        "Smart ID ត្រូវបានបង្កក កាតនិម្មិតនៅតែប្រើបាន",
        "Smart ID ត្រូវបានបង្កក តែកាតនិម្មិតនៅប្រើបានតាមការជ្រើសរើសរបស់អ្នក។ មិនមែនអ្នកទេ? សូមហៅផ្នែកជំនួយ។",
    ),
    "ACTIVE": _Words(
        "Smart ID payments active",
        "You can pay with your Smart ID again.",
        "Smart ID អាចទូទាត់បាន",
        "អ្នកអាចទូទាត់ដោយ Smart ID បានវិញហើយ។",
    ),
    "BLOCKED": _Words(
        "Smart ID payments ended",
        "Your Smart ID can no longer pay, and its virtual cards have stopped with it. Money that "
        "comes in still arrives in your wallet. Ask your bank if you did not expect this.",
        "Smart ID លែងអាចទូទាត់បាន",
        "Smart ID របស់អ្នកលែងអាចទូទាត់បានទៀតហើយ ហើយកាតនិម្មិតរបស់វាក៏ឈប់ដែរ។ "
        "ប្រាក់ដែលចូលនៅតែមកដល់កាបូបរបស់អ្នក។ សូមសួរធនាគាររបស់អ្នក បើអ្នកមិនបានរំពឹងទុក។",
    ),
}
_RELEASED: Final = {
    "expired": _Words(
        "Held money is free again",
        "{merchant} did not take {charged} in time; it is free again on card ••{last_four}.",
        "ប្រាក់កក់ទុកត្រូវបានដោះលែង",
        "{merchant} មិនបានយក {charged} ទាន់ពេលទេ ប្រាក់នេះអាចប្រើបានវិញ (កាត ••{last_four})។",
    ),
    "too_late": _Words(
        "Purchase not made",
        "The answer for {merchant} came too late; {charged} is free again on card ••{last_four}.",
        "ការទិញមិនបានសម្រេច",
        "ចម្លើយទៅ {merchant} យឺតពេល {charged} អាចប្រើបានវិញ (កាត ••{last_four})។",
    ),
}
_RELEASED_ANY: Final = _Words(
    "Purchase taken back",
    "{merchant} took back a purchase; {charged} is free again on card ••{last_four}.",
    "ការទិញត្រូវបានលុប",
    "{merchant} បានលុបការទិញ {charged} អាចប្រើបានវិញ (កាត ••{last_four})។",
)
_SMART_ID_ANY: Final = _Words(
    "Smart ID payments changed",
    "Your Smart ID's payment state is now {state}.",
    "ស្ថានភាពទូទាត់ Smart ID បានផ្លាស់ប្តូរ",
    "ស្ថានភាពទូទាត់នៃ Smart ID ឥឡូវគឺ {state}។",
)
_SECURITY: Final = {
    "emergency_look": _Words(
        "Your data was looked at",
        "Support looked at your telephone number in an emergency. It is being reviewed; see who "
        "and why in the app, or call support.",
        "ទិន្នន័យរបស់អ្នកត្រូវបានមើល",
        "ផ្នែកជំនួយបានមើលលេខទូរស័ព្ទរបស់អ្នកក្នុងករណីបន្ទាន់។ ករណីនេះកំពុងត្រូវបានពិនិត្យ "
        "សូមមើលអ្នកមើលនិងមូលហេតុក្នុងកម្មវិធី ឬហៅផ្នែកជំនួយ។",
    ),
    "totp_enrolled": _Words(
        "Authenticator set up",
        "An authenticator was set up for your account. Not you? Freeze and call support.",
        "បានរៀបចំកម្មវិធីលេខកូដ",
        "កម្មវិធីបង្កើតលេខកូដត្រូវបានរៀបចំសម្រាប់គណនីរបស់អ្នក។ បើមិនមែនអ្នក សូមបង្កក ហើយហៅផ្នែកជំនួយ។",
    ),
    "otp_locked": _Words(
        "One-time passwords locked",
        "Too many wrong codes were entered. Codes are locked for 30 minutes.",
        "លេខកូដប្រើម្តងត្រូវបានចាក់សោ",
        "បានបញ្ចូលលេខកូដខុសច្រើនដង។ លេខកូដត្រូវបានចាក់សោ ៣០ នាទី។",
    ),
    "pin_locked": _Words(
        "PIN resting",
        "Too many wrong PINs were entered on your phone. Wait a while, then try again.",
        "លេខសម្ងាត់ត្រូវបានផ្អាក",
        "បានបញ្ចូលលេខសម្ងាត់ខុសច្រើនដង។ សូមរង់ចាំបន្តិច រួចព្យាយាមម្តងទៀត។",
    ),
    "app_unlocked": _Words(
        "App unlocked",
        "Your app was unlocked at an ATM, by card and PIN. Not you? Freeze and call support.",
        "បានដោះសោកម្មវិធី",
        "កម្មវិធីរបស់អ្នកត្រូវបានដោះសោនៅ ATM ដោយប្រើកាត និងលេខសម្ងាត់។ បើមិនមែនអ្នក សូមបង្កក ហើយហៅផ្នែកជំនួយ។",
    ),
    "pin_reset": _Words(
        "New PIN set",
        "A new PIN was set, by card or at a branch. Not you? Call support at once.",
        "បានកំណត់លេខសម្ងាត់ថ្មី",
        "លេខសម្ងាត់ថ្មីត្រូវបានកំណត់លើទូរស័ព្ទរបស់អ្នក តាមកាត ឬនៅសាខា។ បើមិនមែនអ្នក សូមហៅផ្នែកជំនួយភ្លាម។",
    ),
    "number_changed": _Words(
        "Telephone number changed",
        "Your telephone number was changed. Limits are lower for 12 hours. Not you? Call support.",
        "បានប្តូរលេខទូរស័ព្ទ",
        "លេខទូរស័ព្ទរបស់អ្នកត្រូវបានប្តូរ។ កម្រិតប្រើប្រាស់ទាបជាងមុនក្នុង ១២ ម៉ោង។ បើមិនមែនអ្នក សូមហៅផ្នែកជំនួយ។",
    ),
    "device_revoked": _Words(
        "Phone removed",
        "Your phone can no longer sign for your Smart ID. Pair one at an ATM or a branch.",
        "បានដកទូរស័ព្ទចេញ",
        "ទូរស័ព្ទរបស់អ្នកលែងអាចប្រើជាមួយ Smart ID បានទៀត។ សូមភ្ជាប់ទូរស័ព្ទនៅ ATM ឬសាខា។",
    ),
}
_SECURITY_ANY: Final = _Words(
    "Security of your account",
    "Something about your sign-in changed ({what}). Not you? Freeze and call support.",
    "សុវត្ថិភាពគណនី",
    "មានការផ្លាស់ប្តូរការចូលប្រើរបស់អ្នក ({what})។ បើមិនមែនអ្នក សូមបង្កក ហើយហៅផ្នែកជំនួយ។",
)
_CONTROLS: Final = {
    (True, False): _Words(
        "Card controls tightened",
        "Card ••{last_four} now allows less. Your remaining limits are in the app.",
        "បានដាក់កម្រិតលើកាត",
        "កាត ••{last_four} ឥឡូវអនុញ្ញាតតិចជាងមុន។ សូមមើលកម្រិតដែលនៅសល់ក្នុងកម្មវិធី។",
    ),
    (True, True): _Words(
        "Card controls loosened",
        "Card ••{last_four} now allows more. Not you? Freeze the card and call support.",
        "បានបន្ធូរកម្រិតកាត",
        "កាត ••{last_four} ឥឡូវអនុញ្ញាតច្រើនជាងមុន។ បើមិនមែនអ្នក សូមបង្កកកាត ហើយហៅផ្នែកជំនួយ។",
    ),
    (False, False): _Words(
        "Controls of your cards tightened",
        "Your cards now allow less. Your remaining limits are in the app.",
        "បានដាក់កម្រិតលើកាតរបស់អ្នក",
        "កាតទាំងអស់របស់អ្នកឥឡូវអនុញ្ញាតតិចជាងមុន។ សូមមើលកម្រិតដែលនៅសល់ក្នុងកម្មវិធី។",
    ),
    (False, True): _Words(
        "Controls of your cards loosened",
        "Your cards now allow more. Not you? Freeze your Smart ID and call support.",
        "បានបន្ធូរកម្រិតកាតរបស់អ្នក",
        "កាតទាំងអស់របស់អ្នកឥឡូវអនុញ្ញាតច្រើនជាងមុន។ បើមិនមែនអ្នក សូមបង្កក Smart ID ហើយហៅផ្នែកជំនួយ។",
    ),
}
_DEVICE_FIRST: Final = _Words(
    "Phone paired",
    "A phone was paired with your Smart ID ({channel}). Not you? Call support at once.",
    "បានភ្ជាប់ទូរស័ព្ទ",
    "ទូរស័ព្ទមួយត្រូវបានភ្ជាប់នឹង Smart ID របស់អ្នក ({channel})។ បើមិនមែនអ្នក សូមហៅផ្នែកជំនួយភ្លាម។",
)
_DEVICE_REPLACED: Final = _Words(
    "New phone paired",
    "A new phone replaced the old one ({channel}). Limits are lower for 12 hours.",
    "បានភ្ជាប់ទូរស័ព្ទថ្មី",
    "ទូរស័ព្ទថ្មីបានជំនួសទូរស័ព្ទចាស់ ({channel})។ កម្រិតប្រើប្រាស់ទាបជាងមុនក្នុង ១២ ម៉ោង។",
)
_CATALOGUE: Final[dict[type[Any], _Words | Callable[[Event], _Words]]] = {
    events.SalaryPaid: _Words(
        "Salary received",
        "Salary {period}/{half}: {money} to account ••{account_last_four}.",
        "បានទទួលប្រាក់បៀវត្ស",
        "បៀវត្ស {period}/{half}៖ {money} ចូលគណនី ••{account_last_four}។",
    ),
    events.QrPaid: _Words(
        "Paid by KHQR",
        "You paid {money} to {payee}.",
        "បានទូទាត់តាម KHQR",
        "អ្នកបានបង់ {money} ទៅ {payee}។",
    ),
    events.Exchanged: _Words(
        "Money changed",
        "You changed {given} into {got}.",
        "បានប្តូរប្រាក់",
        "អ្នកបានប្តូរ {given} ទៅជា {got}។",
    ),
    events.TopupSucceeded: _Words(
        "Top-up delivered",
        "{money} was delivered to {phone_masked} ({operator}).",
        "បញ្ចូលទឹកប្រាក់ទូរស័ព្ទបានសម្រេច",
        "{money} បានបញ្ចូលទៅលេខ {phone_masked} ({operator})។",
    ),
    events.TopupFailed: _Words(
        "Top-up not delivered",
        "The top-up of {phone_masked} failed; {money} is back in your wallet.",
        "បញ្ចូលទឹកប្រាក់ទូរស័ព្ទមិនបានសម្រេច",
        "ការបញ្ចូលទៅលេខ {phone_masked} មិនបានសម្រេច {money} ត្រូវបានសងវិញ។",
    ),
    events.TopupUnknown: _Words(
        "Top-up being checked",
        "{operator} has not answered yet; {money} stays reserved while we check.",
        "កំពុងពិនិត្យការបញ្ចូលទឹកប្រាក់",
        "{operator} មិនទាន់ឆ្លើយ {money} នៅកក់ទុកពេលយើងពិនិត្យ។",
    ),
    events.TopupReversed: _Words(
        "Top-up taken back",
        "{operator} took back the top-up of {phone_masked}; {money} is back in your wallet.",
        "ការបញ្ចូលទឹកប្រាក់ត្រូវបានដកវិញ",
        "{operator} បានដកការបញ្ចូលទៅលេខ {phone_masked} {money} ត្រូវបានសងវិញ។",
    ),
    events.TopupInRecovery: _Words(
        "Top-up delivered after all",
        "{operator} delivered {money} to {phone_masked} after it was given back. We will call you.",
        "ការបញ្ចូលទឹកប្រាក់បានសម្រេចក្រោយមក",
        "{operator} បានបញ្ចូល {money} ទៅលេខ {phone_masked} ក្រោយពេលសងវិញ។ យើងនឹងទាក់ទងអ្នក។",
    ),
    events.CardChanged: _card_changed,
    events.CardRevealed: _Words(
        "Card details shown",
        "The details of your card ending {last_four} were shown in the app.",
        "បានបង្ហាញព័ត៌មានកាត",
        "ព័ត៌មានកាតបញ្ចប់ដោយលេខ {last_four} ត្រូវបានបង្ហាញក្នុងកម្មវិធី។",
    ),
    events.CardTokenChanged: _token_changed,
    events.CardWaiting: _Words(
        "Card waiting to be claimed",
        "A card ending {last_four} was asked for at ATM {terminal}. Claim it within 10 minutes.",
        "កាតកំពុងរង់ចាំការទទួល",
        "កាតបញ្ចប់ដោយលេខ {last_four} បានស្នើនៅ ATM {terminal}។ សូមទទួលក្នុងរយៈពេល ១០ នាទី។",
    ),
    events.PurchaseAllowed: _Words(
        "Card purchase",
        "{merchant} may take {charged} from card ••{last_four}; it is held.",
        "ការទិញដោយកាត",
        "{merchant} អាចយក {charged} ពីកាត ••{last_four} ប្រាក់ត្រូវបានកក់ទុក។",
    ),
    events.PurchaseDeclined: _purchase_declined,
    events.PurchaseTaken: _Words(
        "Card purchase paid",
        "{merchant} took {charged} from card ••{last_four}.",
        "បានបង់ប្រាក់ដោយកាត",
        "{merchant} បានយក {charged} ពីកាត ••{last_four}។",
    ),
    events.PurchaseReleased: _purchase_released,
    events.PurchaseReturned: _Words(
        "Money back",
        "{merchant} gave back {charged} to card ••{last_four}.",
        "បានទទួលប្រាក់វិញ",
        "{merchant} បានសង {charged} មកកាត ••{last_four} វិញ។",
    ),
    events.PurchaseAsked: _Words(
        "Is this you?",
        "{merchant} wants {money} with card ••{last_four}. Confirm it in the app, then pay again.",
        "តើនេះជាអ្នកមែនទេ?",
        "{merchant} ចង់យក {money} ដោយកាត ••{last_four}។ សូមបញ្ជាក់ក្នុងកម្មវិធី រួចទូទាត់ម្តងទៀត។",
    ),
    events.SmartIdPaymentChanged: _smart_id_changed,
    events.DevicePaired: _device_paired,
    events.ControlsChanged: _controls_changed,
    events.SecurityNotice: _security,
    events.DisputeOpened: _Words(
        "Case opened",
        "Case {case_number} is open. You will have an answer by {answer_by}.",
        "បានបើកសំណុំរឿង",
        "សំណុំរឿង {case_number} បានបើក។ អ្នកនឹងទទួលចម្លើយត្រឹមថ្ងៃ {answer_by}។",
    ),
    events.DisputeRefunded: dispute_refunded,
    events.DisputeClosed: dispute_closed,
    events.ShortfallSettled: shortfall_settled,
}

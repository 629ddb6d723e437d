"""Every reason in words: one English and one Khmer sentence, each with the next step.

Promise: total over `Reason`, each said in one room only (tests hold both); `{name}` fields are
filled from the outcome's facts where the caller gave them. Who calls: problems.
"""

from typing import Final

from api.sentences.access import ACCESS
from api.sentences.cards import CARDS
from api.sentences.frame import FRAME
from api.sentences.money import MONEY
from api.sentences.payments import PAYMENTS
from wallet.outcomes import Reason

ROOMS: Final = (FRAME, ACCESS, MONEY, CARDS, PAYMENTS)

SENTENCES: Final[dict[Reason, tuple[str, str]]] = {
    reason: words for room in ROOMS for reason, words in room.items()
}

import pytest

from tests.wallet.cards.counter import Counter
from wallet.cards.rules import CardRules
from wallet.clock import TurnedClock
from wallet.vault import Vault
from wallet.work import Works


@pytest.fixture
def counter(works: Works, vault: Vault, clock: TurnedClock) -> Counter:
    return Counter(works, vault, clock, CardRules())

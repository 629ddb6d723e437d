import pytest

from tests.wallet.authorisations.till import Till
from wallet.clock import TurnedClock
from wallet.teller import Teller
from wallet.vault import Vault
from wallet.work import Works


@pytest.fixture
def till(works: Works, teller: Teller, vault: Vault, clock: TurnedClock) -> Till:
    return Till(works, teller, vault, clock)

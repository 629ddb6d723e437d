import pytest

from runtime.embedded import Embedded
from tests.api.conftest import dialled, resources
from tests.canary.places import told_whole
from tests.desk import desk, hashing, throttle

__all__ = ["desk", "dialled", "hashing", "resources", "throttle"]


@pytest.fixture
async def database_url(database_url: str, servers: Embedded) -> str:
    """A database whose server says every statement with its parameters, from its first one on."""
    await told_whole(database_url)
    return database_url

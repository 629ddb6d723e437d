from tests.api.conftest import dialled, resources
from tests.desk import desk, hashing, throttle

__all__ = ["desk", "dialled", "hashing", "resources", "throttle"]

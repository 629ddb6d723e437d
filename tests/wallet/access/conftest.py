from tests.desk import desk, hashing, throttle

__all__ = ["desk", "hashing", "throttle"]

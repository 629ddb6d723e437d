"""`smartid demo`: one salary day through every layer, then the house keeps serving.

- `memory`  what a client must remember to ask again after any kill
- `people`  who plays: the holder's phone, officers, an ATM host, support
- `story`   the steps, in order, each through the doors
- `main`    servers, simulators, seed, story, proof, where to look
"""

from runtime.demo.main import main

__all__ = ["main"]

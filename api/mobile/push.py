"""Where the phone is reached by push: given by the phone itself, taken back by it.

Promise: the address is sealed and told to nobody but the gateway; a code pushed to it can be read
by the phone's own key alone. Who calls: the app, when its platform gives it an address.
"""

from typing import Annotated, Any, Final

from litestar import delete, put
from msgspec import Meta

from api.resources import Resources
from api.security import HolderCaller
from api.wire import Body
from wallet.access import push
from wallet.identifiers import Secret
from wallet.work import Work


class PushAddress(Body, frozen=True, kw_only=True):
    """What the phone's platform calls this installation of the app."""

    address: Annotated[
        str,
        Meta(
            min_length=16,
            max_length=push.LONGEST,
            pattern="^[A-Za-z0-9:_.+/=-]+$",
            examples=["fcm:dGhlIHBob25lIG9mIFNvayBEYXJh"],
        ),
    ]

    def __repr__(self) -> str:
        return "PushAddress(***)"


@put("/push-address", status_code=204, summary="Send codes to this phone by push")
async def register_push(data: PushAddress, caller: HolderCaller, resources: Resources) -> None:
    """In place of the address before it. Without one, codes come by SMS."""

    async def act(work: Work) -> None:
        address = Secret(data.address)
        await push.register(work, resources.vault, caller.holder_id, caller.device_id, address)

    await resources.works.perform(caller.actor, caller.bank, act)


@delete("/push-address", summary="Send no more codes by push")
async def forget_push(caller: HolderCaller, resources: Resources) -> None:
    await resources.works.perform(
        caller.actor,
        caller.bank,
        lambda work: push.forget(work, caller.holder_id, caller.device_id),
    )


HANDLERS: Final[list[Any]] = [register_push, forget_push]

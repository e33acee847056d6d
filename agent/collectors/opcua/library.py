"""The library (41 MB) is loaded when the first OPC UA device connects, and never on the event loop.

Importing it takes half a second, several on a small gateway: all that time no other device would be read. Its 40,000
objects live as long as the process: garbage is not looked for among them (`gc.freeze`), which would hold the loop for
20 ms each time.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from functools import cache
from threading import Thread
from typing import TYPE_CHECKING

from agent.collectors.opcua.past import Past
from agent.collectors.opcua.plan import ConnectionPlan
from agent.collectors.opcua.trust.guard import TrustGuard
from agent.core.ports import BuildContext
from agent.core.threads import beside

if TYPE_CHECKING:
    from agent.collectors.opcua.conversation import Conversation

Converse = Callable[[ConnectionPlan, BuildContext, Past, TrustGuard], "AbstractAsyncContextManager[Conversation]"]


async def converse() -> Converse:
    """`conversation.conversation`, and with it the library. Raises what importing it raises."""
    # shielded: others wait for the same
    return await asyncio.shield(asyncio.wrap_future(_loading()))


@cache
def _loading() -> Future[Converse]:
    """One thread for all devices, which nobody waits for at the end of the process."""
    loaded: Future[Converse] = Future()

    def load() -> None:
        try:
            conversation = beside(_imported)
            gc.collect(0)
            gc.freeze()
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            loaded.set_exception(error)
        else:
            loaded.set_result(conversation)

    Thread(target=load, name="opcua-import", daemon=True).start()
    return loaded


def _imported() -> Converse:
    from agent.collectors.opcua.conversation import conversation

    return conversation

"""Signed bytes on their way: sent, and sent again, until the chain gives an answer.

The rule that nothing is ever paid twice rests here. The same bytes can be executed only once, so they may be sent any
number of times; other bytes for the same purpose may be sent only when it is certain that the first ones never will be
executed. Until then the transaction stays in doubt in the purse, and is settled before anything else is built.
"""

import asyncio
import random
import time
from collections.abc import Iterable
from typing import Protocol

from walrus_codec.types import Digest, ObjectId
from walrus_sui.client import wire
from walrus_sui.client.purse import Purse, Signed
from walrus_sui.errors import (
    ChainError,
    ChainUnreachable,
    ObjectNotFound,
    RequestRefused,
    TransactionRejected,
    TransactionUnknown,
)

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0


class Endpoint(Protocol):
    """What the executor needs of a transport."""

    async def gas_price(self) -> int:
        """Reference gas price."""

    async def objects(self, object_ids: Iterable[ObjectId]) -> dict[ObjectId, wire.RawObject]:
        """Current versions of those objects that exist."""

    async def owned(self, owner: str, object_type: str) -> list[wire.RawObject]:
        """Objects of one type that an address owns."""

    async def simulate(self, transaction: bytes) -> wire.Simulated:
        """Run without effect or payment."""

    async def execute(self, transaction: bytes, signature: bytes) -> wire.Executed:
        """Submit; the same bytes give the same result."""

    async def transaction(self, digest: Digest) -> wire.Executed | None:
        """Look up by digest."""


class Submission:
    """Submits the transactions of all keys of one executor.

    Args:
        endpoint: the transport.
        patience: seconds to go on submitting the same bytes.
        rng: source of jitter.
    """

    def __init__(self, endpoint: Endpoint, *, patience: float, rng: random.Random) -> None:
        self._endpoint = endpoint
        self._patience = patience
        self._rng = rng

    async def submit(self, purse: Purse, signed: Signed) -> wire.Executed:
        """Send the bytes until the chain answers; leaves the transaction in doubt when it does not."""
        purse.in_doubt = signed  # also when this task is cancelled while the bytes are on their way
        deadline = time.monotonic() + self._patience
        pause, maybe_sent = _FIRST_PAUSE, False
        while True:
            try:
                executed = await self._endpoint.execute(signed.data, signed.signature)
            except (RequestRefused, ObjectNotFound) as error:
                if maybe_sent:
                    return await self._found_or_unknown(purse, signed, error)
                purse.in_doubt = None
                raise TransactionRejected(str(error)) from error
            except ChainUnreachable as error:
                maybe_sent = maybe_sent or not _never_left(error)
                if time.monotonic() > deadline:
                    if maybe_sent:
                        raise TransactionUnknown(signed.digest, str(error)) from error
                    purse.in_doubt = None
                    raise
                pause = await self.pause(pause)
            else:
                purse.in_doubt = None
                return executed

    async def _found_or_unknown(self, purse: Purse, signed: Signed, error: ChainError) -> wire.Executed:
        """Decide a refusal that came after an attempt without an answer: that attempt may have been executed."""
        try:
            found = await self._endpoint.transaction(signed.digest)
        except ChainError as second:
            raise TransactionUnknown(signed.digest, str(second)) from second
        if found is None:
            raise TransactionUnknown(signed.digest, str(error)) from error
        purse.in_doubt = None
        return found

    async def settle(self, purse: Purse) -> wire.Executed | None:
        """Learn the fate of a transaction in doubt; returns its effects if it has any.

        Its bytes are sent again: either the chain executes them (now, or before), or it refuses them. After a refusal
        the digest is asked for; when it is unknown, and an input has gone elsewhere, the transaction is dead. When all
        inputs are still there, the bytes are sent once more after a pause, as the first ones may be on their way.

        Raises:
            ChainUnreachable: nothing was learnt; the transaction stays in doubt.
        """
        if purse.in_doubt is None:
            return None
        signed = purse.in_doubt
        purse.forget()
        for last in (False, True):
            try:
                executed: wire.Executed | None = await self._endpoint.execute(signed.data, signed.signature)
                break
            except (RequestRefused, ObjectNotFound):
                executed = await self._endpoint.transaction(signed.digest)
                if executed is not None or last or await self._used_up(signed):
                    break
                await self.pause()
        purse.in_doubt = None
        return executed

    async def _used_up(self, signed: Signed) -> bool:
        current = await self._endpoint.objects(ref.object_id for ref in signed.inputs)
        newer = (current[ref.object_id].ref.version > ref.version for ref in signed.inputs if ref.object_id in current)
        return any(newer)

    async def pause(self, pause: float = _FIRST_PAUSE) -> float:
        """Wait about `pause` seconds, with jitter; returns how long to wait the next time."""
        await asyncio.sleep(pause * self._rng.uniform(0.5, 1.0))
        return min(2 * pause, _LONGEST_PAUSE)


def _never_left(error: ChainUnreachable) -> bool:
    """Tell whether a failure is certainly one of connecting: then the bytes were not sent."""
    cause = error.__cause__
    broken_later = isinstance(cause, ConnectionResetError | BrokenPipeError | ConnectionAbortedError)
    return isinstance(cause, OSError) and not broken_later

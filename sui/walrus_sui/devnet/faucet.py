"""The faucet: gives SUI to whoever asks, by the protocol of Sui's local faucet.

Life of a request: JSON ``{"FixedAmountRequest": {"recipient": "0x..."}}`` is read, one ordinary transaction from the
genesis faucet account sends the configured amount, and the answer names the coin. It is answered when it is on disk.

Answers: 200 ``{"status": "Success", "coins_sent": [{"amount", "id", "transferTxDigest"}]}``; 422 for a body that is not
such a request; 500 ``{"status": {"Failure": {"internal": text}}, "coins_sent": null}`` when the ledger refuses.
"""

import json
from typing import Any, Final

from walrus_codec.types import ObjectId, SuiAddress
from walrus_sui.devnet.engine import Engine
from walrus_sui.devnet.ledger.records import GAS_COIN_TYPE, AddressOwner, Executed, LedgerError
from walrus_sui.devnet.move.core import tags

MAX_BODY: Final = 4096


class FaucetRequestError(ValueError):
    """The body is not a faucet request. Remedy: send ``{"FixedAmountRequest": {"recipient": "0x..."}}``."""


class FaucetFailure(Exception):  # noqa: N818
    """The faucet could not pay. Remedy: the message says why; an empty faucet needs a new chain."""


class Faucet:
    """Gives away a fixed amount at a time.

    Args:
        engine: where the faucet's account lives.
        amount: MIST for each request.
    """

    def __init__(self, engine: Engine, *, amount: int) -> None:
        self._engine = engine
        self._amount = amount

    async def give(self, body: bytes) -> dict[str, Any]:
        """Serves one request.

        Returns:
            The JSON answer of a success.

        Raises:
            FaucetRequestError: the body is not a request.
            FaucetFailure: the ledger refused.
            EngineStopped: nothing can be answered.
        """
        recipient = read_request(body)
        try:
            executed = await self._engine.faucet(recipient, self._amount)
        except LedgerError as error:
            raise FaucetFailure(str(error)) from error
        if executed.effects.failure is not None:
            raise FaucetFailure(executed.effects.failure.description)
        coin_id = _coin_of(executed, recipient)
        sent = {"amount": self._amount, "id": coin_id, "transferTxDigest": executed.digest}
        return {"status": "Success", "coins_sent": [sent]}


def read_request(body: bytes) -> SuiAddress:
    """The recipient of a request.

    Raises:
        FaucetRequestError: the body is not a request, or the recipient is no address.
    """
    try:
        document = json.loads(body)
        recipient = document["FixedAmountRequest"]["recipient"]
        return SuiAddress(tags.normalize_address(recipient))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FaucetRequestError(
            f'send {{"FixedAmountRequest": {{"recipient": "0x..."}}}}: {type(error).__name__}: {error}'
        ) from None


def _coin_of(executed: Executed, recipient: SuiAddress) -> ObjectId:
    created = {change.object_id for change in executed.effects.changed_objects if change.before is None}
    for obj in executed.output_objects:
        if obj.object_id in created and obj.type == GAS_COIN_TYPE and obj.owner == AddressOwner(recipient):
            return obj.object_id
    raise FaucetFailure(f"transaction {executed.digest} made no coin")

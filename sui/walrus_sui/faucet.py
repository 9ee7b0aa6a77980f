"""Ask a test network's faucet for SUI, by the official local protocol (`POST /v2/gas`)."""

from dataclasses import dataclass
from typing import Any

import aiohttp

from walrus_codec.types import Digest, ObjectId, SuiAddress
from walrus_sui.errors import FaucetError


@dataclass(frozen=True)
class FaucetCoin:
    """A coin that the faucet sent: MIST, its id, and the transaction that made it."""

    amount: int
    object_id: ObjectId
    tx_digest: Digest


async def request_sui(faucet_url: str, address: SuiAddress, *, timeout: float = 30.0) -> list[FaucetCoin]:  # noqa: ASYNC109
    """Ask for one portion of SUI; how much it is, is the faucet's choice.

    Args:
        faucet_url: base URL, for example "http://demo-devnet:9123".
        address: who gets it.
        timeout: seconds for the whole request.

    Raises:
        FaucetError: not reachable, limited, or refused; the message says which.
    """
    url = faucet_url.rstrip("/") + "/v2/gas"
    body = {"FixedAmountRequest": {"recipient": address}}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout)) as session,
            session.post(url, json=body) as response,
        ):
            if response.status == 429:
                raise FaucetError(f"{url} limits its rate; ask again later")
            answer = await response.json(content_type=None)
            return _coins(answer, f"{url} (HTTP {response.status})")
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise FaucetError(f"{url} gave no answer that can be used: {error!r}") from error


def _coins(answer: Any, source: str) -> list[FaucetCoin]:
    if not isinstance(answer, dict) or answer.get("status") != "Success":
        raise FaucetError(f"{source} gave nothing: {answer}")
    try:
        return [
            FaucetCoin(int(coin["amount"]), ObjectId(coin["id"]), Digest(coin["transferTxDigest"]))
            for coin in answer["coins_sent"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise FaucetError(f"{source} answered in an unknown form: {answer}") from error

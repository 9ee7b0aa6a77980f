import asyncio
from collections.abc import Sequence

import pytest

from walrus_client.store.batching import Batcher
from walrus_sui.errors import ChainTimeout, ChainUnreachable, MalformedChainData, MoveAbort


class Chain:
    """Answers a batch with its items in capitals, or fails."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, list[str]]] = []
        self.go = asyncio.Event()
        self.go.set()
        self.failure: Exception | None = None

    async def send(self, group: int, items: Sequence[str]) -> list[str]:
        self.sent.append((group, list(items)))
        await self.go.wait()
        if self.failure is not None:
            raise self.failure
        if "bad" in items:
            raise MoveAbort("blob", 6)
        return [item.upper() for item in items if item != "lost"]


async def test_requests_that_pile_up_go_together_by_group() -> None:
    chain = Chain()
    chain.go.clear()
    batcher = Batcher[int, str, str](chain.send, most=3)
    first = asyncio.create_task(batcher.submit(1, "a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    rest = [
        asyncio.create_task(batcher.submit(group, item))
        for group, item in ((1, "b"), (2, "c"), (1, "d"), (1, "e"), (1, "f"))
    ]
    await asyncio.sleep(0)
    chain.go.set()
    assert await first == "A"
    assert await asyncio.gather(*rest) == ["B", "C", "D", "E", "F"]
    assert chain.sent == [(1, ["a"]), (1, ["b", "d", "e"]), (2, ["c"]), (1, ["f"])]


async def test_only_the_guilty_request_fails() -> None:
    chain = Chain()
    chain.go.clear()
    batcher = Batcher[int, str, str](chain.send)
    tasks = [asyncio.create_task(batcher.submit(1, item)) for item in ("x", "a", "bad", "b")]
    await asyncio.sleep(0)
    chain.go.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[:2] == ["X", "A"]
    assert isinstance(results[2], MoveAbort)
    assert results[3] == "B"


@pytest.mark.parametrize("failure", [ChainUnreachable("away"), ChainTimeout("late")])
async def test_what_may_have_happened_is_not_sent_again(failure: Exception) -> None:
    chain = Chain()
    chain.failure = failure
    batcher = Batcher[int, str, str](chain.send)
    results = await asyncio.gather(*(batcher.submit(1, item) for item in "ab"), return_exceptions=True)
    assert results == [failure, failure]
    assert len(chain.sent) <= 2


async def test_an_incomplete_answer_fails_loudly() -> None:
    chain = Chain()
    batcher = Batcher[int, str, str](chain.send)
    with pytest.raises(MalformedChainData):
        await batcher.submit(1, "lost")
    assert await batcher.submit(1, "next") == "NEXT"


async def test_the_answer_of_a_gone_asker_is_handed_over() -> None:
    chain = Chain()
    chain.go.clear()
    orphans: list[str] = []
    batcher = Batcher[int, str, str](chain.send, orphaned=orphans.append)
    gone = asyncio.create_task(batcher.submit(1, "a"))
    waiting = asyncio.create_task(batcher.submit(2, "b"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gone.cancel()
    waiting.cancel()
    await asyncio.gather(gone, waiting, return_exceptions=True)
    chain.go.set()
    await batcher.close()
    assert orphans == ["A"]
    assert chain.sent == [(1, ["a"])], "who left before being sent costs nothing"


async def test_an_answer_that_meets_the_cancellation_of_its_asker_is_not_lost() -> None:
    left: list[str] = []

    async def send(_group: int, items: Sequence[str]) -> list[str]:
        # In the turn of the loop in which the answer comes, before the asker wakes up.
        asyncio.get_running_loop().call_soon(asker.cancel)
        return [item.upper() for item in items]

    batcher = Batcher[int, str, str](send, orphaned=left.append)
    asker = asyncio.create_task(batcher.submit(1, "a"))
    with pytest.raises(asyncio.CancelledError):
        await asker
    assert left == ["A"]

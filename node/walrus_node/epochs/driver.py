"""Moves the chain from epoch to epoch: whoever is first wins, the others see it and are content.

A pass reads the chain, finds the call that it waits for (`rules.next_call`), and makes it when its moment and this
node's jitter have passed. The moment is judged by the chain's own clock, as far as the events tell it. A call that
comes too early or too late aborts on chain; then the next pass looks again, later each time.

The first committee is not chosen before this node has stake: without any stake the call would abort, and a network's
first stakes are delegated in one transaction, so that nobody is left out.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable

from walrus_codec.types import Epoch, NodeId
from walrus_node.chain import Chain, ChainView
from walrus_node.epochs import rules
from walrus_node.epochs.rules import DriverCall, DueCall
from walrus_node.loops import Backoff
from walrus_sui.errors import MoveAbort
from walrus_sui.keys import SuiKey

_log = logging.getLogger(__name__)

LONGEST_PAUSE_S = 30.0
"""The chain is looked at this often while nothing is due: somebody else may have been first."""
_SHORTEST_PAUSE_S = 0.05
_UNSTAKED_PAUSE_S = 2.0


class EpochDriver:
    """One driver per node; `run_once` returns how long the next pass may wait."""

    def __init__(
        self,
        *,
        chain: Chain,
        view: ChainView,
        key: SuiKey,
        node_id: NodeId,
        chain_now_ms: Callable[[], int],
        rng: random.Random,
    ) -> None:
        """Takes what it acts on.

        Args:
            chain: where the calls are made.
            view: the latest look at it.
            key: who pays.
            node_id: us.
            chain_now_ms: the chain's clock, unix milliseconds.
            rng: source of the jitter.
        """
        self._chain = chain
        self._view = view
        self._key = key
        self._node_id = node_id
        self._now_ms = chain_now_ms
        self._rng = rng
        self._backoff = Backoff(first_s=5.0, last_s=300.0, rng=rng)
        self._jitter: dict[tuple[Epoch, DriverCall], int] = {}

    async def run_once(self) -> float:
        """Makes the call that is due, if any; returns seconds until the next pass.

        Raises:
            ChainError: the chain cannot be reached.
        """
        staking = await self._view.refresh()
        due = rules.next_call(staking)
        if due is None:
            return LONGEST_PAUSE_S
        if due.epoch == 0 and due.call is DriverCall.VOTING_END and not await self._has_stake():
            return _UNSTAKED_PAUSE_S
        wait_ms = due.due_ms + self._jitter_of(due, staking.epoch_duration_ms) - self._now_ms()
        if wait_ms > 0:
            return max(_SHORTEST_PAUSE_S, min(LONGEST_PAUSE_S, wait_ms / 1000))
        return await self._call(due)

    async def _has_stake(self) -> bool:
        pool = await self._chain.pool(self._node_id)
        return pool.wal_balance > 0 or any(amount > 0 for _epoch, amount in pool.pending_stake)

    async def _call(self, due: DueCall) -> float:
        make = self._chain.voting_end if due.call is DriverCall.VOTING_END else self._chain.initiate_epoch_change
        facts = {"call": due.call.value, "epoch": due.epoch}
        try:
            await make(self._key)
        except MoveAbort as abort:
            facts["abort"] = str(abort)
            if rules.next_call(await self._view.refresh()) == due:
                pause = self._backoff.next_s()
                _log.warning("the chain refuses to move on", extra=facts | {"pause_s": round(pause, 1)})
                return pause
            _log.info("somebody else was first", extra=facts)
        else:
            _log.info("moved the epoch on", extra=facts)
        self._backoff.reset()
        return _SHORTEST_PAUSE_S

    def _jitter_of(self, due: DueCall, epoch_duration_ms: int) -> int:
        """Drawn once per call and epoch, so that looking often does not draw until a small one comes."""
        key = (due.epoch, due.call)
        if key not in self._jitter:
            self._jitter = {old: value for old, value in self._jitter.items() if old[0] == due.epoch}
            self._jitter[key] = rules.jitter_ms(due.epoch, epoch_duration_ms, draw=self._rng.random())
        return self._jitter[key]

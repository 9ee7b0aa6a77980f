"""What is challenged in the current epoch: its blobs, hours, committee and policy, the same for all parts of a node.

Life of a round: `take` notes the blobs and the policy when the epoch's first checkpoint was applied, before the next one
is; `current` gives the round once the chain has finished the change of epoch, until the next change begins. The blobs'
ids are in memory only while somebody asks for them: 32 MB for a million.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from walrus_client.challenges.blobs import FIRST_EPOCH, BlobSet
from walrus_client.challenges.policy import Mode, Policy, milder
from walrus_client.challenges.samples import shards_of
from walrus_client.challenges.times import EpochTimes
from walrus_codec.types import Epoch, NodeId, ShardIndex
from walrus_node.chain import ChainView
from walrus_node.challenges.policies import Policies
from walrus_node.errors import DiskError
from walrus_node.store.challenge_forms import ChallengeRound
from walrus_node.store.records import Identity
from walrus_node.store.storage import Storage
from walrus_sui.abi.move_types import digest_bytes
from walrus_sui.types import Committee, CommitteeMember, EpochPhase, StakingView

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Round:
    """One epoch's challenges, as this node sees them.

    Attributes:
        times: its hours.
        policy: as it was at the epoch's start.
        mode: what this node does with verdicts.
        n_blobs: how many blobs are asked for.
        root: their root.
        committee: of the epoch.
        previous: of the epoch before.
        us: this node.
        chain_id: digest of the genesis checkpoint, 32 bytes.
    """

    times: EpochTimes
    policy: Policy
    mode: Mode
    n_blobs: int
    root: bytes = field(repr=False)
    committee: Committee = field(repr=False)
    previous: Committee = field(repr=False)
    us: NodeId
    chain_id: bytes = field(repr=False)

    @property
    def epoch(self) -> Epoch:
        """The epoch."""
        return self.committee.epoch

    def member(self, node: NodeId) -> CommitteeMember | None:
        """The member of the epoch's committee."""
        return self.committee.by_id(node)

    def shards(self, node: NodeId) -> tuple[ShardIndex, ...]:
        """The shards that a member answers for, and checks answers with."""
        now, before = self.committee.by_id(node), self.previous.by_id(node)
        return shards_of(now.shards if now else (), before.shards if before else ())

    @cached_property
    def others(self) -> tuple[CommitteeMember, ...]:
        """All members but this node."""
        return tuple(member for member in self.committee.members if member.node_id != self.us)

    @cached_property
    def weights(self) -> Mapping[NodeId, int]:
        """Shards of each member."""
        return {member.node_id: member.weight for member in self.committee.members}

    @cached_property
    def keys(self) -> Mapping[NodeId, bytes]:
        """BLS public key of each member."""
        return {member.node_id: member.bls_public_key for member in self.committee.members}

    def has_questions_for(self, node: NodeId) -> bool:
        """Whether there is anything that this node could ask the other one."""
        return bool(self.n_blobs and self.shards(node) and self.shards(self.us))


class Rounds:
    """Finds the current round.

    Args:
        storage: where the blobs are noted.
        view: the chain's committees.
        policies: what the network and this node do in each epoch.
        epoch: the epoch that the events have reached.
        identity: who this node is, None before it knows.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        view: ChainView,
        policies: Policies,
        epoch: Callable[[], Epoch],
        identity: Callable[[], Identity | None],
    ) -> None:
        self._storage = storage
        self._view = view
        self._policies = policies
        self._node_mode = Mode.OFF
        self._epoch = epoch
        self._identity = identity
        self._stored: tuple[Epoch, ChallengeRound | None] = (Epoch(0), None)
        self._round: Round | None = None
        self._seen: tuple[StakingView, ChallengeRound] | None = None
        self._blobs: tuple[Epoch, BlobSet] | None = None

    @property
    def enabled(self) -> bool:
        """Whether the network has challenges at all."""
        return self._policies.enabled

    async def take(self, epoch: Epoch) -> None:
        """Notes what is asked for in an epoch that has just begun; nothing of it may be applied yet.

        A disk that refuses leaves the node without the epoch's challenges: others excuse it.
        """
        # While old events are caught up with nobody asks any more.
        if not self.enabled or epoch < FIRST_EPOCH or self._view.epoch > epoch:
            return
        policy, self._node_mode = await self._policies.at(epoch)
        if policy.mode is Mode.OFF:
            self._stored = (epoch, None)
            return
        try:
            taken = await self._storage.take_round(epoch, policy)
            await self._storage.drop_challenges(before=Epoch(max(0, epoch - policy.keep_epochs)))
            await self._storage.drop_challenged_blobs(before=epoch)
        except DiskError as error:
            _log.error("the blobs of this epoch's challenges cannot be noted", extra={"error": str(error)})
            return
        self._stored = (epoch, taken)
        _log.info("blobs of the epoch's challenges", extra={"epoch": epoch, "blobs": taken.blobs})

    async def take_after_crash(self) -> None:
        """Does what a process that died right behind the epoch's first checkpoint has left undone."""
        epoch = self._epoch()
        if await self._storage.challenge_round(epoch) is None and await self._storage.at_epoch_start():
            await self.take(epoch)

    async def current(self) -> Round | None:
        """The round of the current epoch; None while there are no challenges, or the node does not know enough."""
        staking, identity, epoch = self._view.staking, self._identity(), self._epoch()
        if not self.enabled or staking is None or identity is None or epoch < FIRST_EPOCH:
            return None
        if staking.epoch != epoch or staking.epoch_state.phase is EpochPhase.SYNC:
            return None
        if self._stored[0] != epoch:
            self._stored = (epoch, await self._storage.challenge_round(epoch))
            _policy, self._node_mode = await self._policies.at(epoch)
        stored = self._stored[1]
        if stored is None or stored.policy.mode is Mode.OFF:
            return None
        if self._seen != (staking, stored):
            self._seen, self._round = (staking, stored), self._made(staking, stored, identity)
        return self._round

    async def blobs(self, current: Round) -> BlobSet:
        """The blobs of the round."""
        if self._blobs is None or self._blobs[0] != current.epoch:
            self._blobs = (current.epoch, await self._storage.challenged_blobs(current.epoch, current.root))
        return self._blobs[1]

    def release(self) -> None:
        """The blobs' ids are not needed for now."""
        self._blobs = None

    async def kept(self) -> BlobSet:
        """Blobs whose data must be kept in this epoch though nobody pays any more."""
        epoch = self._epoch()
        stored = await self._storage.challenge_round(epoch) if self.enabled else None
        return BlobSet.of(()) if stored is None else await self._storage.challenged_blobs(epoch, stored.root)

    def _made(self, staking: StakingView, stored: ChallengeRound, identity: Identity) -> Round:
        return Round(
            times=EpochTimes(staking.epoch_state.since_ms, staking.epoch_duration_ms),
            policy=stored.policy,
            mode=milder(stored.policy.mode, self._node_mode),
            n_blobs=stored.blobs,
            root=stored.root,
            committee=staking.committee,
            previous=staking.previous_committee,
            us=identity.node_id,
            chain_id=digest_bytes(identity.chain_id),
        )

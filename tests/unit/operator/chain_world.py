"""The chain of a pure world: who is registered, whose stake counts when, and the committees that follow from it.

It refuses what the contract refuses, so that a plan that asks for too much fails its test.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from walrus_codec.types import Epoch, NodeId, ObjectId, ShardIndex, SuiAddress
from walrus_operator.api import names
from walrus_operator.api.base import API_VERSION
from walrus_operator.api.chain_view import ChainView, EpochPhase, RegisteredKeys, Seat
from walrus_operator.api.decisions import (
    WithdrawStake,
)
from walrus_operator.api.world import (
    Manifest,
    ObjectKey,
    Observed,
    PodView,
    SecretView,
    UnixSeconds,
)
from walrus_sui.types import StakedWal

NETWORK = "demo"
NAMESPACE = "walrus"
UID = "11111111-2222-3333-4444-555555555555"
START = 1_700_000_000.0


def address(text: str) -> SuiAddress:
    return SuiAddress("0x" + hashlib.sha256(text.encode()).hexdigest())


def network_manifest(**spec: Any) -> Manifest:
    return {
        "apiVersion": API_VERSION,
        "kind": "WalrusNetwork",
        "metadata": {"name": NETWORK, "namespace": NAMESPACE, "uid": UID, "generation": 1},
        "spec": {"chain": {"devnet": {}}, **spec},
    }


@dataclass
class ChainWorld:
    """What the chain knows, and the objects of Kubernetes that nodes read their keys from."""

    network: Manifest = field(default_factory=network_manifest)
    objects: dict[ObjectKey, Manifest] = field(default_factory=dict)
    secrets: dict[str, SecretView] = field(default_factory=dict)
    pods: dict[str, PodView] = field(default_factory=dict)
    registered: dict[SuiAddress, NodeId] = field(default_factory=dict)
    delegations: list[StakedWal] = field(default_factory=list)
    returned: int = 0
    """FROST that came back."""
    balances: dict[SuiAddress, tuple[int, int]] = field(default_factory=dict)
    chain_keys: dict[str, RegisteredKeys] = field(default_factory=dict)
    """What the chain says of the keys of nodes that have changed theirs, by node."""
    seat_keys: dict[NodeId, str] = field(default_factory=dict)
    """BLS keys of the next committees."""
    epoch: int = 0
    phase: EpochPhase = EpochPhase.WAITING
    committee: tuple[Seat, ...] = ()
    previous: tuple[Seat, ...] = ()
    following: tuple[Seat, ...] = ()
    chain_id: str = "chain-one"
    system_object: str = "0x5"
    chain_answers: bool = True
    chain_seen_at: float | None = None
    now: float = START
    _uids: int = 0

    def nodes_register(self) -> None:
        """Running nodes register with their own key."""
        for node in self.nodes():
            secret = self.secrets.get(names.node_keys(node))
            if secret and names.pod(node) in self.pods:
                sui = SuiAddress(str(secret.public[names.SUI_KEY]))
                self.registered.setdefault(sui, NodeId(address(f"pool of {node}")))

    def nodes_change_keys(self) -> None:
        """One step of every node that finds next keys in its Secret, as in `walrus_node.rotation`."""
        for secret in self.secrets.values():
            if secret.node is None or names.pod(secret.node) not in self.pods:
                continue
            files = {file: str(key) for file, key in secret.public.items()}
            present, following = files[names.NETWORK_KEY], files.get(names.NEXT_NETWORK_KEY)
            known = self._registered_keys(secret)
            wanted = files.get(names.NEXT_PROTOCOL_KEY)
            if wanted not in {None, known.protocol} and self.phase is not EpochPhase.PARAMS_SELECTED:
                known = replace(known, next_protocol=wanted)
            if following is not None and known.network != following:
                step = (following, (present,)) if following in known.further_network else (present, (following,))
                known = replace(known, network=step[0], further_network=step[1])
            else:
                known = replace(known, further_network=())
            self.chain_keys[secret.node] = known

    def end_voting(self) -> None:
        """Chooses the next committee: shares by stake, and no shard moves that need not."""
        stakes: dict[NodeId, int] = {}
        for piece in self.delegations:
            left = piece.withdraw_epoch is not None and piece.withdraw_epoch <= self.epoch + 1
            if piece.activation_epoch <= self.epoch + 1 and not left:
                stakes[piece.node_id] = stakes.get(piece.node_id, 0) + piece.principal
        self.following = self._share(stakes)
        self.phase = EpochPhase.PARAMS_SELECTED if self.epoch else EpochPhase.WAITING

    def _share(self, stakes: Mapping[NodeId, int]) -> tuple[Seat, ...]:
        n = self.network["spec"].get("shards", 100)
        share = dict.fromkeys(sorted(stakes), 0)
        for _ in range(n):
            share[max(share, key=lambda node_id: (stakes[node_id] / (share[node_id] + 1), node_id))] += 1
        kept = {seat.node_id: list(seat.shards)[: share.get(seat.node_id, 0)] for seat in self.committee}
        free = sorted(set(range(n)) - {shard for shards in kept.values() for shard in shards})
        seats = []
        for node_id, count in share.items():
            held = kept.get(node_id, [])
            while len(held) < count:
                held.append(ShardIndex(free.pop()))
            seats.append(Seat(node_id, "", tuple(held), self.seat_keys.get(node_id, "")))
        return tuple(seat for seat in seats if seat.shards)

    def choose_committee(self) -> None:
        """The next epoch, with its shards taken over."""
        if not self.following:
            self.end_voting()
        self.previous, self.committee, self.following = self.committee, self.following, ()
        self.epoch += 1
        self.phase = EpochPhase.DONE
        for node, known in self.chain_keys.items():
            new = known.next_protocol or known.protocol
            self.chain_keys[node] = replace(known, protocol=new, in_committee=new, next_protocol=None)

    @property
    def stakes(self) -> dict[NodeId, int]:
        """FROST delegated and not asked back."""
        found: dict[NodeId, int] = {}
        for piece in self.delegations:
            if piece.withdraw_epoch is None:
                found[piece.node_id] = found.get(piece.node_id, 0) + piece.principal
        return found

    def stake(self, node_id: NodeId, frost: int) -> None:
        assert frost >= 10**9, "the contract takes no less than 1 WAL"
        ahead = 2 if self.following else 1
        self.delegations.append(
            StakedWal(ObjectId(self._uid()), node_id, frost, Epoch(self.epoch + ahead), None, SuiAddress("0x1"))
        )

    def withdraw(self, action: WithdrawStake) -> None:
        """What the contract does, with its refusals."""
        for part in action.ask:
            piece = self._part(part.stake, part.frost)
            assert piece.withdraw_epoch is None, "asked for twice"
            in_next = any(seat.node_id == piece.node_id for seat in self.following)
            in_current = any(seat.node_id == piece.node_id for seat in self.committee)
            early = piece.activation_epoch > self.epoch and not in_next
            assert (early, in_next or in_current) == (False, True), "EWithdrawDirectly"
            self.delegations.append(replace(piece, withdraw_epoch=Epoch(self.epoch + (2 if in_next else 1))))
        for part in action.take:
            piece = self._part(part.stake, part.frost)
            in_next = any(seat.node_id == piece.node_id for seat in self.following)
            in_current = any(seat.node_id == piece.node_id for seat in self.committee)
            if piece.withdraw_epoch is not None:
                assert piece.withdraw_epoch <= self.epoch, "EWithdrawEpochNotReached"
            elif piece.activation_epoch > self.epoch:
                assert not in_next or piece.activation_epoch == self.epoch + 2, "ENotWithdrawing"
            else:
                assert (in_next, in_current) == (False, False), "ENotWithdrawing"
            self.returned += piece.principal

    def _part(self, stake: ObjectId, frost: int | None) -> StakedWal:
        """Takes a piece, or splits a part off it."""
        piece = next(piece for piece in self.delegations if piece.object_id == stake)
        self.delegations.remove(piece)
        if frost is None:
            return piece
        assert min(frost, piece.principal - frost) >= 10**9, "EInvalidAmount"
        self.delegations.append(replace(piece, principal=piece.principal - frost))
        return replace(piece, object_id=ObjectId(self._uid()), principal=frost)

    def nodes(self) -> list[str]:
        return sorted(
            (key.name for key in self.objects if key.kind == "WalrusNode"), key=lambda name: (len(name), name)
        )

    def chain(self) -> Observed[ChainView]:
        if self.chain_answers:
            self.chain_seen_at = self.now
        if self.chain_seen_at is None:
            return Observed(None, None, "connection refused", UnixSeconds(self.now))
        view = ChainView(
            chain_id=self.chain_id,
            checkpoint=1,
            epoch=self.epoch,
            phase=self.phase,
            change_done_at_ms=int(START * 1000)
            if self.phase in {EpochPhase.DONE, EpochPhase.PARAMS_SELECTED}
            else None,
            epoch_duration_ms=600_000,
            n_shards=self.network["spec"].get("shards", 100),
            max_epochs_ahead=53,
            committee=self.committee,
            previous_committee=self.previous,
            next_committee=self.following,
            storage_price=100_000,
            write_price=20_000,
            total_capacity=10**12,
            system_object=self.system_object,
            staking_object="0x6",
            registered=dict(self.registered),
            keys=self._keys(),
            delegations=tuple(self.delegations),
            balances=dict(self.balances),
        )
        if self.chain_answers:
            return Observed(view, UnixSeconds(self.now))
        return Observed(view, UnixSeconds(self.chain_seen_at), "connection refused", UnixSeconds(self.chain_seen_at))

    def _registered_keys(self, secret: SecretView) -> RegisteredKeys:
        protocol = str(secret.public[names.PROTOCOL_KEY])
        first = RegisteredKeys(protocol, None, protocol, str(secret.public[names.NETWORK_KEY]))
        return self.chain_keys.get(str(secret.node), first)

    def _keys(self) -> dict[NodeId, RegisteredKeys]:
        """As the operator asks: of nodes with next keys in their Secrets."""
        found = {}
        for secret in self.secrets.values():
            pool = self.registered.get(SuiAddress(str(secret.public.get(names.SUI_KEY))))
            if pool and any("-next" in file for file in secret.public):
                found[pool] = self._registered_keys(secret)
        return found

    def _uid(self) -> str:
        self._uids += 1
        return f"uid-{self._uids}"

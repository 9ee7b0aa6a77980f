"""A pure world for planner tests: what Kubernetes, the chain and the nodes would make of a plan.

`World` holds raw objects as the API server would; `snapshot` reads them through the operator's own readers, and `settle`
lets passes follow each other until nothing changes, so that a test can say "from here the network comes up" and look at
the conditions and at what was written on the way.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from walrus_codec.types import Epoch, NodeId, ObjectId, ShardIndex, SuiAddress
from walrus_operator.api import names
from walrus_operator.api.base import API_VERSION
from walrus_operator.api.chain_view import ChainView, EpochPhase, RegisteredKeys, Seat
from walrus_operator.api.decisions import (
    AddToken,
    CreateKeys,
    Delegate,
    DeleteObject,
    DrainNode,
    DropToken,
    FundAddress,
    FundTreasury,
    GrowClaim,
    KeyKind,
    Plan,
    PromoteKey,
    SetFinalizer,
    WithdrawStake,
)
from walrus_operator.api.world import (
    ClaimView,
    Findings,
    Manifest,
    NodeInfo,
    ObjectKey,
    Observed,
    PodView,
    SecretView,
    Settings,
    Snapshot,
    UnixSeconds,
)
from walrus_operator.apply import drift
from walrus_operator.build import objects
from walrus_operator.observe import reading
from walrus_operator.plan.passes import plan
from walrus_sui.types import StakedWal

NETWORK = "demo"
NAMESPACE = "walrus"
UID = "11111111-2222-3333-4444-555555555555"
SETTINGS = Settings(image="walrus-on-kubernetes:test", operator_namespace="walrus-system", version="0.1.0")
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


def merged(live: Any, desired: Any) -> Any:
    """What a server-side apply leaves: desired fields over live ones, lists replaced."""
    if isinstance(live, dict) and isinstance(desired, dict):
        return {**live, **{key: merged(live.get(key), value) for key, value in desired.items()}}
    return copy.deepcopy(desired)


@dataclass
class World:
    """Everything outside of the operator."""

    network: Manifest = field(default_factory=network_manifest)
    objects: dict[ObjectKey, Manifest] = field(default_factory=dict)
    secrets: dict[str, SecretView] = field(default_factory=dict)
    pods: dict[str, PodView] = field(default_factory=dict)
    registered: dict[SuiAddress, NodeId] = field(default_factory=dict)
    claims: dict[str, ClaimView] = field(default_factory=dict)
    delegations: list[StakedWal] = field(default_factory=list)
    orphans: set[str] = field(default_factory=set)
    """Pods without a StatefulSet."""
    ever: dict[str, SecretView] = field(default_factory=dict)
    """All key Secrets that were made, by their first public key."""
    dismissed: set[str] = field(default_factory=set)
    """Public halves of those that the operator deleted."""
    returned: int = 0
    """FROST that came back."""
    balances: dict[SuiAddress, tuple[int, int]] = field(default_factory=dict)
    graceful: int = 0
    """How many times the kubelet looks at a deleted pod before it has ended."""
    grows: bool = False
    """Whether volumes can be enlarged in place."""
    refused: dict[str, str] = field(default_factory=dict)
    """Claims that could not, as the operator remembers them."""
    broken: set[str] = field(default_factory=set)
    """Pods that do not come up when they are made."""
    silent_nodes: set[str] = field(default_factory=set)
    statuses: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    """Status of the shards that a node does not have yet, by node."""
    progress: dict[str, dict[str, float]] = field(default_factory=dict)
    """What nodes say of their transfers, by node."""
    findings: dict[int, dict[str, Findings]] = field(default_factory=dict)
    """What nodes say of challenges, by epoch and node."""
    chain_keys: dict[str, RegisteredKeys] = field(default_factory=dict)
    """What the chain says of the keys of nodes that have changed theirs, by node."""
    tokens: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Admin tokens that a node has in its file, by node."""
    stale: set[str] = field(default_factory=set)
    """Nodes to which the kubelet has not brought what is new in the Secret."""
    drained: list[str] = field(default_factory=list)
    """UIDs of pods whose nodes were told that they go."""
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
    settings: Settings = SETTINGS
    writes: int = 0
    log: list[str] = field(default_factory=list)
    _uids: int = 0
    _ending: dict[str, int] = field(default_factory=dict)

    # -- what the outside does on its own

    def kubelet(self) -> None:
        """Pods follow StatefulSets, and are ready when their Secret is there."""
        wanted = {}
        for key, live in self.objects.items():
            if key.kind != "StatefulSet":
                continue
            made_from = reading.revision(live["spec"]["template"]["metadata"].get("annotations"))
            revision = made_from.template if made_from else "r1"
            live.setdefault("status", {}).update(
                {"updateRevision": revision, "observedGeneration": live["metadata"]["generation"]}
            )
            for index in range(live["spec"]["replicas"]):
                name = f"{key.name}-{index}"
                there = self.pods.get(name)
                if there is not None and there.terminating:
                    self._ending[there.uid] = self._ending.get(there.uid, 0) + 1
                    there = None if self._ending[there.uid] > self.graceful else there
                wanted[name] = there or PodView(
                    name=name,
                    uid=self._uid(),
                    ready=name not in self.broken,
                    phase="Running" if name not in self.broken else "Pending",
                    waiting="ImagePullBackOff" if name in self.broken else None,
                    revision=revision,
                    ip="10.0.0.1",
                    image=live["spec"]["template"]["spec"]["containers"][0]["image"],
                    made_from=made_from,
                    admin=any(
                        port["name"] == "admin" for port in live["spec"]["template"]["spec"]["containers"][0]["ports"]
                    ),
                )
        for name, pod in wanted.items():
            if pod.admin and (name not in self.pods or name.removesuffix("-0") not in self.stale):
                self.tokens[name.removesuffix("-0")] = self.admin_tokens or self.tokens.get(name.removesuffix("-0"), ())
        # Pods whose StatefulSet was deleted without them run on.
        wanted |= {name: pod for name, pod in self.pods.items() if name in self.orphans and name not in wanted}
        orphaned = {f"data-{name}" for name in self.orphans}
        self.orphans -= {f"{key.name}-0" for key in self.objects if key.kind == "StatefulSet"}
        self.pods = wanted
        # Volumes stay with their StatefulSet, whether it has pods or not.
        owners = {f"data-{key.name}-0" for key in self.objects if key.kind == "StatefulSet"}
        kept = {name: claim for name, claim in self.claims.items() if name in owners | orphaned}
        self.claims = kept | {f"data-{pod}": self.claims.get(f"data-{pod}") or self._claim(pod) for pod in wanted}

    def _claim(self, pod: str) -> ClaimView:
        """A new volume, as the StatefulSet's template has it."""
        live = self.objects.get(ObjectKey("StatefulSet", pod.rpartition("-")[0]), {})
        spec = next((template["spec"] for template in live.get("spec", {}).get("volumeClaimTemplates", ())), {})
        size = spec.get("resources", {}).get("requests", {}).get("storage", "")
        return ClaimView(f"data-{pod}", self._uid(), size=size, storage_class=spec.get("storageClassName", "standard"))

    @property
    def admin_tokens(self) -> tuple[str, ...]:
        """What the Secret holds; a mounted file stays when it is gone."""
        secret = self.secrets.get(names.admin_tokens(NETWORK))
        return tuple(str(secret.public[names.ADMIN_TOKENS]).split()) if secret else ()

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
            seats.append(Seat(node_id, "", tuple(held)))
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

    # -- what the operator sees

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

    def infos(self) -> Mapping[str, Observed[NodeInfo]]:
        found: dict[str, Observed[NodeInfo]] = {}
        ids = {str(secret.public.get(names.SUI_KEY)): secret.node for secret in self.secrets.values() if secret.node}
        node_of = {pool: ids.get(sui) for sui, pool in self.registered.items()}
        held = {node_of.get(seat.node_id): seat.shards for seat in self.committee}
        for node in self.nodes():
            pod = self.pods.get(names.pod(node))
            if pod is None or node in self.silent_nodes:
                continue
            shards = dict.fromkeys((int(shard) for shard in held.get(node, ())), self.missing.get(node, "Active"))
            found[node] = Observed(
                NodeInfo(
                    node_id=None,
                    epoch=self.epoch,
                    status=self.statuses.get(node, "Active" if shards else "Standby"),
                    shards=shards,
                    version="0.1.0",
                    slivers_stored=0,
                    token=self._taken(node) if pod.admin else "",
                    **self.progress.get(node, {}),
                ),
                UnixSeconds(self.now),
            )
        return found

    def _taken(self, node: str) -> str:
        """The newest token that a node takes of those that it is offered."""
        return next((token for token in reversed(self.admin_tokens) if token in self.tokens.get(node, ())), "")

    def snapshot(self, **extra: Any) -> Snapshot:
        custom = {
            kind: [copy.deepcopy(live) for key, live in self.objects.items() if key.kind == kind]
            for kind in ("WalrusNode", "StorageEpoch")
        }
        network = reading.network(copy.deepcopy(self.network))
        custom_nodes = tuple(reading.node(live) for live in custom["WalrusNode"])
        return Snapshot(
            now=UnixSeconds(self.now),
            network=network,
            nodes=custom_nodes,
            epochs=tuple(reading.epoch(live) for live in custom["StorageEpoch"]),
            live={
                key: copy.deepcopy(live)
                for key, live in self.objects.items()
                if key.kind not in {"WalrusNode", "StorageEpoch"}
            },
            pods=dict(self.pods),
            secrets=dict(self.secrets),
            claims=dict(self.claims),
            chain=self.chain(),
            infos=self.infos(),
            findings={epoch: dict(found) for epoch, found in self.findings.items()},
            revisions=objects.revisions(network, custom_nodes, self.settings),
            operator_version="0.1.0",
            refused_growth=dict(self.refused),
            **extra,
        )

    # -- what the operator does

    def carry_out(self, snapshot: Snapshot, decided: Plan) -> int:
        """Does what a plan asks for; returns how many writes that took."""
        before = self.writes
        for action in decided.actions:
            self.log.append(repr(action))
            self.writes += 1
            if isinstance(action, CreateKeys):
                self._create_keys(action)
            elif isinstance(action, PromoteKey):
                self._promote(action)
            elif isinstance(action, AddToken | DropToken):
                self._exchange(action)
            elif isinstance(action, FundTreasury):
                treasury = SuiAddress(str(self.secrets[names.treasury(NETWORK)].public[names.SUI_KEY]))
                self.balances[treasury] = (action.mist * 2, action.frost * 2)
            elif isinstance(action, DrainNode):
                assert self.pods[action.pod].uid == action.uid
                self.drained.append(action.uid)
            elif isinstance(action, GrowClaim):
                claim = self.claims[action.claim]
                assert claim.uid == action.uid
                if self.grows:
                    self.claims[action.claim] = replace(claim, size=action.size)
                else:
                    self.refused[action.claim] = action.uid
            elif isinstance(action, Delegate):
                for node_id, amount in action.frost:
                    self.stake(node_id, amount)
            elif isinstance(action, WithdrawStake):
                self.withdraw(action)
            elif isinstance(action, SetFinalizer):
                self._finalizers(action)
            elif isinstance(action, FundAddress):
                mist, frost = self.balances.get(action.address, (0, 0))
                self.balances[action.address] = (mist + action.mist, frost + action.frost)
        if decided.workload is not None:
            for manifest in drift.missing(objects.manifests(decided.workload, self.settings), snapshot.live_objects):
                self._apply(manifest)
        for update in decided.statuses:
            self.writes += 1
            target = self.network if update.key.kind == "WalrusNetwork" else self.objects.get(update.key, {})
            target["status"] = copy.deepcopy(dict(update.status))
        for action in decided.actions:
            if isinstance(action, DeleteObject):
                self._delete(action)
        return self.writes - before

    def pass_once(self) -> tuple[Plan, int]:
        snapshot = self.snapshot()
        decided = plan(snapshot)
        return decided, self.carry_out(snapshot, decided)

    def settle(self, *, passes: int = 30) -> Plan:
        """Passes, with kubelet and nodes in between, until one writes nothing."""
        for _ in range(passes):
            decided, writes = self.pass_once()
            self.kubelet()
            self.nodes_register()
            if not writes:
                return decided
        raise AssertionError(f"still writing after {passes} passes: {self.log[-3:]}")

    def bring_up(self) -> Plan:
        """From nothing to a committee in epoch 1 and a quiet operator."""
        self.settle()
        self.choose_committee()
        return self.settle()

    def _create_keys(self, action: CreateKeys) -> None:
        if not action.add:
            assert action.secret not in self.secrets, f"{action.secret} would be overwritten"
        known = dict(self.secrets[action.secret].public) if action.add else {}
        for file, kind in action.files:
            assert file not in known, f"{file} would be overwritten"
            made = address(f"{action.secret}/{file}/{len(self.log)}")
            known[file] = made[2:18] if kind is KeyKind.TOKEN else made
        node = action.secret.removesuffix("-keys")
        network_keys = {names.treasury(NETWORK), names.gateway_keys(NETWORK), names.admin_tokens(NETWORK)}
        self.secrets[action.secret] = SecretView(
            name=action.secret,
            public=known,
            uid=self._uid(),
            node=None if action.secret in network_keys else node,
        )
        self.ever[str(known)] = self.secrets[action.secret]

    def _promote(self, action: PromoteKey) -> None:
        secret = self.secrets[action.secret]
        assert secret.uid == action.uid
        files = dict(secret.public)
        assert files[action.next_file] == action.public
        files[action.file] = files.pop(action.next_file)
        self.secrets[action.secret] = replace(secret, public=files)

    def _exchange(self, action: AddToken | DropToken) -> None:
        secret = self.secrets[action.secret]
        assert secret.uid == action.uid
        there = str(secret.public[names.ADMIN_TOKENS]).split()
        if isinstance(action, AddToken):
            assert there == [action.present]
            there.append(address(f"{action.secret}/{len(self.log)}")[2:18])
        else:
            assert there == [action.present, action.following]
            del there[0]
        self.secrets[action.secret] = replace(secret, public={names.ADMIN_TOKENS: " ".join(there)})

    def _apply(self, manifest: Manifest) -> None:
        self.writes += 1
        key = drift.key_of(manifest)
        self.log.append(f"apply {key}")
        live = self.objects.get(key)
        fixed = [(found or {}).get("spec", {}).get("volumeClaimTemplates") for found in (live, manifest)]
        assert live is None or fixed[0] == fixed[1], "updates to statefulset spec are forbidden"
        if live is None:
            live = {"metadata": {"uid": self._uid(), "generation": 0, "resourceVersion": "1"}}
        self.objects[key] = merged(live, manifest)
        # Labels and owners make no new generation.
        if self.objects[key].get("spec") != live.get("spec") or not live["metadata"]["generation"]:
            self.objects[key]["metadata"]["generation"] += 1

    def _delete(self, action: DeleteObject) -> None:
        if action.key.kind == "PersistentVolumeClaim":
            assert self.claims[action.key.name].uid == action.uid
            self.claims[action.key.name] = replace(self.claims[action.key.name], terminating=True)
        elif action.key.kind == "Secret":
            self.dismissed.add(str(self.secrets.pop(action.key.name).public))
        elif action.key.kind == "Pod":
            assert self.pods[action.key.name].uid == action.uid
            if self.graceful:
                self.pods[action.key.name] = replace(self.pods[action.key.name], terminating=True)
                return
            del self.pods[action.key.name]
            claim = f"data-{action.key.name}"
            if self.claims[claim].terminating:
                del self.claims[claim]
        elif action.key in self.objects:  # it may have lost its last finalizer a moment ago
            assert self.objects[action.key]["metadata"]["uid"] == action.uid
            if action.orphan:
                self.orphans.add(f"{action.key.name}-0")
            self.delete(action.key)

    def delete(self, key: ObjectKey) -> None:
        """`kubectl delete`."""
        if self.objects[key]["metadata"].get("finalizers"):
            self.objects[key]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        else:
            del self.objects[key]

    def _finalizers(self, change: SetFinalizer) -> None:
        meta = self.objects[ObjectKey("WalrusNode", change.node)]["metadata"]
        assert meta["uid"] == change.uid
        assert not ("deletionTimestamp" in meta and set(change.finalizers) - set(meta.get("finalizers", ())))
        meta["finalizers"] = list(change.finalizers)
        if "deletionTimestamp" in meta and not change.finalizers:
            del self.objects[ObjectKey("WalrusNode", change.node)]

    def _uid(self) -> str:
        self._uids += 1
        return f"uid-{self._uids}"

    # -- what users do

    def edit(self, **spec: Any) -> None:
        self.network["spec"] = merged(self.network["spec"], spec)
        self.network["metadata"]["generation"] += 1

    def edit_node(self, name: str, **spec: Any) -> None:
        live = self.objects[ObjectKey("WalrusNode", name)]
        live["spec"] = merged(live["spec"], spec)
        live["metadata"]["generation"] += 1

    def condition(self, type_: str, node: str | None = None) -> dict[str, Any]:
        target = self.network if node is None else self.objects[ObjectKey("WalrusNode", node)]
        entries = target.get("status", {}).get("conditions", [])
        return next((entry for entry in entries if entry["type"] == type_), {})

    def says(self, type_: str, node: str | None = None) -> tuple[str, str]:
        entry = self.condition(type_, node)
        return entry["status"], entry["reason"]

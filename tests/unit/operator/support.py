"""A pure world for planner tests: what Kubernetes, the chain and the nodes would make of a plan.

`World` holds raw objects as the API server would; `snapshot` reads them through the operator's own readers, and `settle`
lets passes follow each other until nothing changes, so that a test can say "from here the network comes up" and look at
the conditions and at what was written on the way.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.unit.operator.chain_world import NETWORK, ChainWorld, address

from walrus_codec.types import SuiAddress
from walrus_operator.api import names
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
    SetOwners,
    WithdrawStake,
)
from walrus_operator.api.world import (
    ClaimView,
    Findings,
    Manifest,
    NodeInfo,
    ObjectKey,
    Observed,
    Owned,
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

SETTINGS = Settings(image="walrus-on-kubernetes:test", operator_namespace="walrus-system", version="0.1.0")


def merged(live: Any, desired: Any) -> Any:
    """What a server-side apply leaves: desired fields over live ones, lists replaced."""
    if isinstance(live, dict) and isinstance(desired, dict):
        return {**live, **{key: merged(live.get(key), value) for key, value in desired.items()}}
    return copy.deepcopy(desired)


@dataclass
class World(ChainWorld):
    """Everything outside of the operator."""

    claims: dict[str, ClaimView] = field(default_factory=dict)
    orphans: set[str] = field(default_factory=set)
    """Pods without a StatefulSet."""
    ever: dict[str, SecretView] = field(default_factory=dict)
    """All key Secrets that were made, by their first public key."""
    dismissed: set[str] = field(default_factory=set)
    """Public halves of those that the operator deleted."""
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
    tokens: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Admin tokens that a node has in its file, by node."""
    stale: set[str] = field(default_factory=set)
    """Nodes to which the kubelet has not brought what is new in the Secret."""
    drained: list[str] = field(default_factory=list)
    """UIDs of pods whose nodes were told that they go."""
    settings: Settings = SETTINGS
    writes: int = 0
    log: list[str] = field(default_factory=list)
    _ending: dict[str, int] = field(default_factory=dict)

    # -- what the outside does on its own

    def kubelet(self) -> None:
        """Pods follow StatefulSets, and are ready when their Secret is there."""
        wanted, volumes = {}, set()
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
                volumes |= {f"data-{name}" for _ in live["spec"].get("volumeClaimTemplates", ())}
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
        self.orphans -= {f"{key.name}-0" for key in self.objects if key.kind == "StatefulSet"}
        self.pods = wanted
        self.count_disruptions()
        # Volumes stay until somebody deletes them, and then until their pod has gone.
        kept = {
            name: claim
            for name, claim in self.claims.items()
            if not claim.terminating or name.removeprefix("data-") in wanted
        }
        self.claims = kept | {name: self._claim(name.removeprefix("data-")) for name in volumes - set(kept)}

    def count_disruptions(self) -> None:
        """What the controller of disruption budgets makes of the one that there is."""
        live = self.objects.get(ObjectKey("PodDisruptionBudget", f"{NETWORK}-nodes"))
        if live is None:
            return
        there = [
            pod for name, pod in self.pods.items() if not name.startswith((f"{NETWORK}-gateway-", f"{NETWORK}-devnet-"))
        ]
        healthy = sum(pod.ready and not pod.terminating for pod in there)
        live["status"] = {
            "observedGeneration": live["metadata"]["generation"],
            "currentHealthy": healthy,
            "disruptionsAllowed": max(0, healthy - live["spec"]["minAvailable"]),
        }

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

    # -- what the operator sees

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
            elif isinstance(action, SetOwners):
                of: dict[str, Any] = self.claims if action.key.kind == "PersistentVolumeClaim" else self.secrets
                seen = of[action.key.name]
                assert (seen.uid, seen.owned) == (action.uid, action.seen)
                of[action.key.name] = replace(seen, owned=replace(seen.owned, network=action.with_network))
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
            owned=Owned(self.network["spec"].get("persistentVolumeClaimPolicy") != "Retain"),
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
            claim = self.claims.get(f"data-{action.key.name}")
            if claim is not None and claim.terminating:
                del self.claims[claim.name]
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

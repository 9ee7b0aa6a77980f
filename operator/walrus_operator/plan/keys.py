"""What the key Secrets say: which to make, and which are lost, unusable or exchanged.

Keys are made once. The first pass that sees them writes their public halves into the status; from then on a Secret that
is missing is a loss to report, never a reason to make new keys, because new keys are a new identity that the chain does
not know. A StatefulSet without Secret and status (an operator that was killed at a bad moment, a status that was
cleared) counts as a loss too. While keys are exchanged (`key_rotation`) a Secret holds the next ones beside the present
ones; they are remembered like those, and the only keys that may ever take their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from walrus_operator.api import names
from walrus_operator.api.conditions import Reason
from walrus_operator.api.decisions import CreateKeys, KeyKind, NodeWorkload
from walrus_operator.api.node import PublicKeys
from walrus_operator.api.world import ObjectKey, SecretView, Snapshot

NODE_FILES = (
    (names.PROTOCOL_KEY, KeyKind.PROTOCOL),
    (names.NETWORK_KEY, KeyKind.NETWORK),
    (names.SUI_KEY, KeyKind.SUI),
)


@dataclass(frozen=True)
class KeyProblem:
    """Why a Secret cannot be used."""

    reason: Reason
    message: str


@dataclass(frozen=True)
class Keys:
    """The outcome."""

    create: tuple[CreateKeys, ...]
    nodes: Mapping[str, PublicKeys]
    """Public keys of each node whose Secret is as it should be."""
    node_problems: Mapping[str, KeyProblem]
    treasury: str | None
    """Address of the treasury, when its key can be used."""
    gateways: Mapping[str, str]
    """Address of each gateway pod whose key can be used."""
    network_problem: KeyProblem | None
    """Trouble with the keys of treasury or gateway."""


def decide(snapshot: Snapshot, members: tuple[NodeWorkload, ...]) -> Keys:
    """Looks at every Secret that the network needs."""
    create: list[CreateKeys] = []
    found: dict[str, PublicKeys] = {}
    problems: dict[str, KeyProblem] = {}
    remembered = {node.name: node.status.public_keys for node in snapshot.nodes}
    for member in members:
        outcome = _node(snapshot, member.name, remembered.get(member.name))
        if isinstance(outcome, CreateKeys):
            create.append(outcome)
        elif isinstance(outcome, PublicKeys):
            found[member.name] = outcome
        else:
            problems[member.name] = outcome
    problems |= _shared(found, remembered)
    found = {name: keys for name, keys in found.items() if name not in problems}
    treasury, treasury_problem = _treasury(snapshot, create)
    gateways, gateway_problem = _gateways(snapshot, create)
    return Keys(
        create=tuple(create),
        nodes=found,
        node_problems=problems,
        treasury=treasury,
        gateways=gateways,
        network_problem=treasury_problem or gateway_problem,
    )


def _node(snapshot: Snapshot, name: str, before: PublicKeys | None) -> CreateKeys | PublicKeys | KeyProblem:
    secret_name = names.node_keys(name)
    secret = snapshot.secrets.get(secret_name)
    if secret is None:
        if before is None and ObjectKey("StatefulSet", name) not in snapshot.live:
            return CreateKeys(secret_name, NODE_FILES)
        known = f" whose Sui address is {before.sui_address}" if before else ""
        return KeyProblem(
            Reason.KEY_SECRET_LOST,
            f"Secret {secret_name} is gone: restore it from a backup, with the keys{known}. It is never made again, "
            "because new keys would be another node",
        )
    following = [file for file in (names.NEXT_PROTOCOL_KEY, names.NEXT_NETWORK_KEY) if file in secret.public]
    unusable = [file for file in (*(file for file, _ in NODE_FILES), *following) if not secret.public.get(file)]
    if unusable:
        return KeyProblem(
            Reason.KEY_SECRET_INVALID,
            f"Secret {secret_name} holds no usable key in {', '.join(unusable)}: restore it from a backup",
        )
    now = PublicKeys(
        protocol=str(secret.public[names.PROTOCOL_KEY]),
        network=str(secret.public[names.NETWORK_KEY]),
        sui_address=str(secret.public[names.SUI_KEY]),
        next_protocol=secret.public.get(names.NEXT_PROTOCOL_KEY),
        next_network=secret.public.get(names.NEXT_NETWORK_KEY),
    )
    for what, pair, remembered in () if before is None else _pairs(now, before):
        if remembered[1] is not None and pair == (remembered[0], None):
            return KeyProblem(
                Reason.KEY_SECRET_LOST,
                f"Secret {secret_name} holds no next {what} key any more ({remembered[1]}), and the chain may know it "
                "already: restore it from a backup. It is never made again",
            )
    if before is not None and not _follows(now, before):
        return KeyProblem(
            Reason.KEY_SECRET_CHANGED,
            f"Secret {secret_name} holds other keys than are remembered in status.publicKeys (Sui address {now.sui_address} instead "
            f"of {before.sui_address}): restore it from a backup",
        )
    return now


def _shared(found: Mapping[str, PublicKeys], remembered: Mapping[str, PublicKeys | None]) -> dict[str, KeyProblem]:
    """Nodes whose Secret has a key of another node: two nodes under one identity would contradict each other."""
    problems = {}
    owners: dict[str, str] = {}
    # Whoever ran with the key before keeps it.
    for name in sorted(found, key=lambda name: (remembered.get(name) is None, len(name), name)):
        keys = found[name]
        own = {"protocol": keys.protocol, "network": keys.network, "Sui": keys.sui_address}
        twice = next((what for what, key in own.items() if owners.get(key, name) != name), None)
        if twice is not None:
            problems[name] = KeyProblem(
                Reason.KEY_SECRET_INVALID,
                f"Secret {names.node_keys(name)} holds the {twice} key of node {owners[own[twice]]}: every node needs keys of "
                "its own. Delete the Secret of a node that never ran, and the operator makes new ones",
            )
            continue
        owners |= dict.fromkeys(own.values(), name)
    return problems


def _pairs(
    now: PublicKeys, before: PublicKeys
) -> tuple[tuple[str, tuple[str, str | None], tuple[str, str | None]], ...]:
    """Present and next key of each kind, as they are and as they are remembered."""
    return (
        ("protocol", (now.protocol, now.next_protocol), (before.protocol, before.next_protocol)),
        ("network", (now.network, now.next_network), (before.network, before.next_network)),
    )


def _follows(now: PublicKeys, before: PublicKeys) -> bool:
    """Whether a Secret may hold these keys after those: the same, with a next one beside them, or the next one itself."""
    return now.sui_address == before.sui_address and all(
        pair == remembered
        or (remembered[1] is None and pair[0] == remembered[0])
        or (remembered[1] is not None and pair == (remembered[1], None))
        for _, pair, remembered in _pairs(now, before)
    )


def _treasury(snapshot: Snapshot, create: list[CreateKeys]) -> tuple[str | None, KeyProblem | None]:
    network = snapshot.network
    if network.spec is None:
        return None, None
    external = network.spec.chain.external
    if external is not None:
        if external.treasury_secret_ref is None:
            return None, None
        secret_name, ours = external.treasury_secret_ref.name, False
    else:
        secret_name, ours = names.treasury(network.name), True
    secret = snapshot.secrets.get(secret_name)
    before = network.status.treasury_address
    if secret is None:
        if ours and before is None:
            create.append(CreateKeys(secret_name, ((names.SUI_KEY, KeyKind.SUI),)))
            return None, None
        remedy = "restore it from a backup" if before else "create it with the key sui.key"
        return None, KeyProblem(Reason.KEY_SECRET_LOST, f"the treasury's Secret {secret_name} is missing: {remedy}")
    return _single(secret, names.SUI_KEY, before, whose="the treasury")


def _gateways(snapshot: Snapshot, create: list[CreateKeys]) -> tuple[Mapping[str, str], KeyProblem | None]:
    network = snapshot.network
    if network.spec is None:
        return {}, None
    wanted = [
        (names.gateway_pod(network.name, index), names.gateway_key_file(network.name, index))
        for index in range(network.spec.gateway.replicas)
    ]
    if not wanted:
        return {}, None
    secret_name = names.gateway_keys(network.name)
    secret = snapshot.secrets.get(secret_name)
    before = network.status.gateway_addresses or {}
    if secret is None:
        if before:
            return {}, KeyProblem(
                Reason.KEY_SECRET_LOST,
                f"Secret {secret_name} is gone: restore it from a backup; its addresses may own blobs",
            )
        create.append(CreateKeys(secret_name, tuple((file, KeyKind.SUI) for _, file in wanted)))
        return {}, None
    addresses: dict[str, str] = {}
    problem: KeyProblem | None = None
    missing = []
    for pod, file in wanted:
        if file not in secret.public and pod not in before:
            missing.append((file, KeyKind.SUI))
            continue
        address, trouble = _single(secret, file, before.get(pod), whose=pod)
        if address:
            addresses[pod] = address
        problem = problem or trouble
    if missing:
        create.append(CreateKeys(secret_name, tuple(missing), add=True))
    return addresses, problem


def _single(secret: SecretView, file: str, before: str | None, *, whose: str) -> tuple[str | None, KeyProblem | None]:
    address = secret.public.get(file)
    if not address:
        return None, KeyProblem(
            Reason.KEY_SECRET_INVALID,
            f"Secret {secret.name} holds no usable key of {whose} in {file}: restore it from a backup",
        )
    if before is not None and address != before:
        return None, KeyProblem(
            Reason.KEY_SECRET_CHANGED,
            f"Secret {secret.name} holds another key of {whose} than before ({address} instead of {before}): "
            "restore it from a backup",
        )
    return address, None

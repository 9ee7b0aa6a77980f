"""How keys are exchanged: the next one beside the present one, until the chain shows that it has taken over.

Life of a rotation: `spec.rotateKeys` has a text that no key was made for, so a pass adds the next key to the node's Secret and
remembers its public half and the text in the status. The node reads it and announces it (`walrus_node.rotation`). When the
chain says that nobody needs the old key any more (the committee names the new BLS key; the certificate may carry the new
network key only), the next key takes the name of the present one, and the text is that of the present key.

What the chain says decides, never what was done before: whatever dies in between, the next pass goes on from there. A next
key that has gone, or is another than was remembered, is a loss to report (`keys`): the chain may know it already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from walrus_codec.types import NodeId
from walrus_operator.api import names
from walrus_operator.api.chain_view import ChainView, RegisteredKeys
from walrus_operator.api.decisions import Action, CreateKeys, EventNote, KeyKind, NodeWorkload, PromoteKey
from walrus_operator.api.node import KeysFor, PublicKeys, RotateKeys
from walrus_operator.api.world import NodeObject, ObjectKey, SecretView, Snapshot
from walrus_operator.plan.keys import Keys


@dataclass
class Rotations:
    """The outcome, by the nodes' names.

    Attributes:
        keys_for: the texts of `spec.rotateKeys` that keys were made for, as they are after this pass.
        changing: what is going on with each key that changes.
        actions: keys to make and to promote.
        events: what to tell of them.
    """

    keys_for: dict[str, KeysFor] = field(default_factory=dict)
    changing: dict[str, list[str]] = field(default_factory=dict)
    actions: list[Action] = field(default_factory=list)
    events: list[EventNote] = field(default_factory=list)


@dataclass(frozen=True)
class _Key:
    """One of a node's two keys that may be exchanged."""

    node: str
    secret: SecretView
    what: str
    kind: KeyKind
    file: str
    next_file: str
    asked: str | None
    present_for: str | None
    """The text that the present key was made for."""
    next_for: str | None
    present: str
    following: str | None
    before: tuple[str, str | None] | None
    """Both, as remembered in the status; None for a node that is new."""


def decide(
    snapshot: Snapshot,
    members: tuple[NodeWorkload, ...],
    keys: Keys,
    *,
    chain: ChainView | None,
    node_ids: Mapping[str, NodeId],
) -> Rotations:
    """Looks at both keys of every node whose Secret is as it should be.

    Args:
        snapshot: The world.
        members: Nodes that are asked for.
        keys: What the Secrets say.
        chain: The chain; nothing is promoted without it.
        node_ids: Pool of each registered node.
    """
    found = Rotations()
    everyone = {node.name: node for node in snapshot.nodes}
    for member in members:
        now, node = keys.nodes.get(member.name), everyone.get(member.name)
        if now is None or node is None:
            continue
        node_id = node_ids.get(member.name)
        registered = chain.keys.get(node_id) if chain is not None and node_id is not None else None
        secret = snapshot.secrets[names.node_keys(member.name)]
        texts: dict[str, str | None] = {}
        for key in _both(node, secret, member.spec.rotate_keys or RotateKeys(), now):
            texts |= _one(found, key, registered, chain)
        if any(texts.values()):
            found.keys_for[member.name] = KeysFor(**texts)
    return found


def _both(node: NodeObject, secret: SecretView, asked: RotateKeys, now: PublicKeys) -> tuple[_Key, _Key]:
    made_for, before = node.status.keys_for or KeysFor(), node.status.public_keys
    protocol = _Key(
        node=node.name,
        secret=secret,
        what="protocol",
        kind=KeyKind.PROTOCOL,
        file=names.PROTOCOL_KEY,
        next_file=names.NEXT_PROTOCOL_KEY,
        asked=asked.protocol,
        present_for=made_for.protocol,
        next_for=made_for.next_protocol,
        present=now.protocol,
        following=now.next_protocol,
        before=(before.protocol, before.next_protocol) if before is not None else None,
    )
    network = _Key(
        node=node.name,
        secret=secret,
        what="network",
        kind=KeyKind.NETWORK,
        file=names.NETWORK_KEY,
        next_file=names.NEXT_NETWORK_KEY,
        asked=asked.network,
        present_for=made_for.network,
        next_for=made_for.next_network,
        present=now.network,
        following=now.next_network,
        before=(before.network, before.next_network) if before is not None else None,
    )
    return protocol, network


def _one(
    found: Rotations, key: _Key, registered: RegisteredKeys | None, chain: ChainView | None
) -> dict[str, str | None]:
    """The next step with one key; returns the texts that its keys were made for."""
    node, secret = key.node, key.secret
    present_for, next_for = key.present_for, key.next_for
    if key.following is None:
        if key.before is None:
            present_for = key.asked  # keys that are new need no other
        elif key.before[1] is not None:  # it has taken over since the last pass
            present_for, next_for = key.next_for, None
            about = ObjectKey("WalrusNode", node)
            found.events.append(EventNote(about, "KeyRotated", f"the new {key.what} key {key.present} is in use"))
        if key.asked is not None and key.asked != present_for:
            next_for = key.asked
            found.actions.append(CreateKeys(secret.name, ((key.next_file, key.kind),), add=True))
            found.changing.setdefault(node, []).append(f"a next {key.what} key is made")
            sentence = f"a next {key.what} key is made, because spec.rotateKeys.{key.what} is {key.asked}"
            found.events.append(EventNote(ObjectKey("WalrusNode", node), "KeyRotationStarted", sentence))
    else:
        # One that a user has put there was made for whatever the spec says now.
        next_for = next_for or key.asked
        waits = _waits(key, registered, chain)
        if waits is None and key.before is not None and key.before[1] == key.following:
            found.actions.append(PromoteKey(secret.name, secret.uid, key.file, key.next_file, key.following))
            waits = "it is in use, and takes the old one's place in the Secret"
        found.changing.setdefault(node, []).append(f"next {key.what} key: {waits or 'it is remembered first'}")
    return {key.what: present_for, f"next_{key.what}": next_for}


def _waits(key: _Key, registered: RegisteredKeys | None, chain: ChainView | None) -> str | None:
    """What is missing until nobody needs the present key any more; None when nothing is."""
    if registered is None or chain is None:
        return "the chain has not said what it knows"
    if key.kind is KeyKind.NETWORK:
        if registered.network == key.following:
            return None if not registered.further_network else "registered; the old one stays valid for some time"
        if key.following in registered.further_network:
            return "announced beside the present one; it takes over when everybody has seen that"
        return "the node has not announced it yet"
    if key.following == registered.next_protocol:
        return f"announced; it signs from epoch {chain.epoch + 1} on, if the node is a member then"
    if key.following != registered.protocol:
        return "the node has not announced it yet, which it does not do while the next committee is chosen"
    if registered.in_committee not in {None, key.following}:
        return f"registered; the committee of epoch {chain.epoch} still names the old one"
    return None

"""The token of the nodes' admin API: made once, exchanged on request, and what is lost is told.

Life of a token: the first pass makes it and the status remembers its fingerprint. `spec.rotateAdminToken` has a text that none
was made for, so a second line is added to the file, which every node accepts once Kubernetes has brought it the file. The
operator offers nodes the newest one first (`observe.admin`), and they say which one they took; when all that run have taken
the new one, the old line goes. No pod restarts, and no node is ever asked with a token that it has not seen.

What the Secret holds decides, never what was done before: whatever dies in between, the next pass goes on from there. A lost
token is not a lost identity: one more text in the spec makes another. Nothing else does.
"""

from __future__ import annotations

from dataclasses import dataclass

from walrus_operator.api import names
from walrus_operator.api.conditions import Reason
from walrus_operator.api.decisions import Action, AddToken, CreateKeys, DropToken, EventNote, KeyKind
from walrus_operator.api.network_status import AdminToken
from walrus_operator.api.world import ObjectKey, SecretView, Snapshot
from walrus_operator.plan.keys import KeyProblem

_NONE = AdminToken()


@dataclass(frozen=True)
class Tokens:
    """The outcome.

    Attributes:
        status: what is remembered after this pass.
        problem: why there is no token, or a strange one.
        actions: what to do about the Secret.
        events: what to tell of it.
    """

    status: AdminToken | None = None
    problem: KeyProblem | None = None
    actions: tuple[Action, ...] = ()
    events: tuple[EventNote, ...] = ()


def decide(snapshot: Snapshot) -> Tokens:
    """Looks at the Secret; the network's spec must be readable."""
    network = snapshot.network
    if network.spec is None:
        raise ValueError("tokens need a readable spec")
    asked, before = network.spec.rotate_admin_token, network.status.admin_token
    name = names.admin_tokens(network.name)
    secret = snapshot.secrets.get(name)
    if secret is None:
        return _absent(snapshot, name, asked, before)
    found = tuple((secret.public.get(names.ADMIN_TOKENS) or "").split())
    remedy = f"restore it from a backup, or delete it and set spec.rotateAdminToken to another text: {_ANOTHER}"
    if len(found) not in {1, 2}:
        sentence = f"Secret {name} holds no usable token, or more than two, in {names.ADMIN_TOKENS}: {remedy}"
        return Tokens(before, KeyProblem(Reason.KEY_SECRET_INVALID, sentence))
    following = found[1] if found[1:] else None
    now = _follows(found[0], following, before, asked)
    if now is None:
        sentence = f"Secret {name} holds another admin token than is remembered in status.adminToken: {remedy}"
        return Tokens(before, KeyProblem(Reason.KEY_SECRET_CHANGED, sentence))
    return _next_step(snapshot, secret, asked, now, before or _NONE)


_ANOTHER = "then the operator makes one that nodes take without a restart"


def _absent(snapshot: Snapshot, name: str, asked: str | None, before: AdminToken | None) -> Tokens:
    """No Secret: the first one is made at once, another one only for a text that none was made for."""
    if before is None and not _mounted(snapshot, name):
        return Tokens(actions=(CreateKeys(name, ((names.ADMIN_TOKENS, KeyKind.TOKEN),)),))
    known = before or _NONE
    if before is not None and known.present is None and known.next_for == asked:
        waits = "the lost one is replaced"
        return Tokens(
            known.model_copy(update={"waits_for": waits}),
            actions=(CreateKeys(name, ((names.ADMIN_TOKENS, KeyKind.TOKEN),)),),
        )
    if asked is not None and asked not in {known.made_for, known.next_for}:
        # Remembered first: a Secret that is there afterwards is the one that was asked for.
        sentence = f"a new admin token is made for the lost one, because spec.rotateAdminToken is {asked}"
        return Tokens(
            AdminToken(made_for=known.made_for, next_for=asked, waits_for="the lost one is replaced"),
            events=(_event(snapshot, "AdminTokenRotationStarted", sentence),),
        )
    return Tokens(
        before,
        KeyProblem(
            Reason.KEY_SECRET_LOST,
            f"Secret {name} is gone, and with it the token that nodes are asked with: restore it from a backup, or set "
            f"spec.rotateAdminToken to another text: {_ANOTHER}",
        ),
    )


def _mounted(snapshot: Snapshot, name: str) -> bool:
    """Whether pods are made that have the Secret, so that it must have been there."""
    return any(
        (volume.get("secret") or {}).get("secretName") == name
        for key, live in snapshot.live.items()
        if key.kind == "StatefulSet"
        for volume in live["spec"]["template"]["spec"].get("volumes") or ()
    )


def _follows(present: str, following: str | None, before: AdminToken | None, asked: str | None) -> AdminToken | None:
    """What is remembered of these tokens after those; None when they do not follow each other."""
    if before is None or before.present is None:
        # One that is new needs no other. One that a user has put there was made for whatever the spec says now.
        made_for = asked if before is None or before.next_for is None else before.next_for
        return AdminToken(
            present=present, made_for=made_for, next=following, next_for=asked if following is not None else None
        )
    if (present, following) == (before.next, None):
        return AdminToken(present=present, made_for=before.next_for)
    if present != before.present or (following is not None and before.next not in {None, following}):
        return None
    return AdminToken(
        present=present,
        next=following,
        made_for=before.made_for,
        next_for=(before.next_for or asked) if following is not None else None,
    )


def _next_step(
    snapshot: Snapshot, secret: SecretView, asked: str | None, now: AdminToken, before: AdminToken
) -> Tokens:
    events: list[EventNote] = []
    present, following = str(now.present), now.next
    if before != _NONE and before.present != now.present:
        events.append(_event(snapshot, "AdminTokenRotated", "nodes are asked with the new admin token alone"))
    if following is None:
        if asked is None or asked == now.made_for:
            return Tokens(now, events=tuple(events))
        if before.next_for != asked:
            sentence = f"a second admin token is made, because spec.rotateAdminToken is {asked}"
            events.append(_event(snapshot, "AdminTokenRotationStarted", sentence))
        return Tokens(
            now.model_copy(update={"next_for": asked, "waits_for": "a second token is made"}),
            actions=(AddToken(secret.name, secret.uid, present),),
            events=tuple(events),
        )
    if before.next != following:
        waits = "it is remembered first"
    elif lacking := _lacking(snapshot, following):
        more = f", and {len(lacking) - 1} more" if lacking[1:] else ""
        waits = f"a second token is there, and {lacking[0]} has not taken it yet{more}"
    else:
        waits = "all nodes have taken it; the old one goes"
        return Tokens(
            now.model_copy(update={"waits_for": waits}),
            actions=(DropToken(secret.name, secret.uid, present, following),),
            events=tuple(events),
        )
    return Tokens(now.model_copy(update={"waits_for": waits}), events=tuple(events))


def _lacking(snapshot: Snapshot, token: str) -> list[str]:
    """Nodes that run and have not taken a token in this pass; one that neither serves nor answers is not waited for."""
    found = []
    for node in snapshot.nodes:
        pod, info = snapshot.pods.get(names.pod(node.name)), snapshot.infos.get(node.name)
        said = info.fresh if info is not None else None
        if pod is None or pod.terminating or not pod.admin or not (pod.ready or said is not None):
            continue
        if said is None or said.token != token:
            found.append(node.name)
    return found


def _event(snapshot: Snapshot, reason: str, sentence: str) -> EventNote:
    return EventNote(ObjectKey("WalrusNetwork", snapshot.network.name), reason, sentence)

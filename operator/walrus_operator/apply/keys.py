"""Makes key Secrets: randomness happens here and nowhere else.

A Secret is created, never applied: when the name is taken, by a forgotten Secret or a second operator, the API server
refuses and nothing is lost. Files are added to an existing Secret only under names that it does not have. The one key that
is ever dropped is the one that a rotation has replaced: the next one takes its name, in one write to the very Secret that
the plan was made from. Admin tokens are exchanged likewise, in one file that holds both for a while.
"""

from __future__ import annotations

import base64
import secrets

from walrus_operator.api import names
from walrus_operator.api.decisions import AddToken, CreateKeys, DropToken, KeyKind, PromoteKey
from walrus_operator.api.world import NetworkObject
from walrus_operator.build.secrets import key_secret
from walrus_operator.observe import reading
from walrus_operator.observe.kube import KubeClient, KubeError
from walrus_sui.keys import BlsKey, NetworkKey, SuiKey


def generate(kind: KeyKind) -> str:
    """A new key as text."""
    if kind is KeyKind.PROTOCOL:
        return BlsKey.generate().to_text()
    if kind is KeyKind.NETWORK:
        return NetworkKey.generate().to_text()
    if kind is KeyKind.TOKEN:
        return secrets.token_urlsafe(32)
    return SuiKey.generate().to_text()


def _encoded(kind: KeyKind) -> str:
    return base64.b64encode(generate(kind).encode()).decode()


async def carry_out(kube: KubeClient, network: NetworkObject, action: CreateKeys) -> None:
    """Creates the Secret or adds the files that it lacks.

    Raises:
        KubeError: refused; a 409 means that the name is taken, and the next pass will see by what.
    """
    if not action.add:
        manifest = key_secret(network, action)
        manifest["data"] = {file: _encoded(kind) for file, kind in action.files}
        await kube.create(manifest)
        return
    live = await kube.get("Secret", network.namespace, action.secret)
    if live is None:
        raise KubeError(f"Secret {action.secret} vanished while keys were added to it", status=404)
    files = {file: _encoded(kind) for file, kind in action.files if file not in (live.get("data") or {})}
    if files:
        version = live["metadata"]["resourceVersion"]
        change = {"metadata": {"resourceVersion": version}, "data": files}
        await kube.merge("Secret", network.namespace, action.secret, change)


async def promote(kube: KubeClient, network: NetworkObject, action: PromoteKey) -> None:
    """Puts a next key in the place of the present one.

    Raises:
        KubeError: refused; a 409 means that the Secret is not the one that the plan was made from.
    """
    live = await kube.get("Secret", network.namespace, action.secret)
    if live is None or live["metadata"]["uid"] != action.uid:
        raise KubeError(f"Secret {action.secret} was replaced while a key was exchanged in it", status=409)
    if reading.secret(live).public.get(action.next_file) != action.public:
        raise KubeError(f"Secret {action.secret} holds another key in {action.next_file} than before", status=409)
    change = {
        "metadata": {"resourceVersion": live["metadata"]["resourceVersion"], "uid": action.uid},
        "data": {action.file: live["data"][action.next_file], action.next_file: None},
    }
    await kube.merge("Secret", network.namespace, action.secret, change)


async def exchange(kube: KubeClient, network: NetworkObject, action: AddToken | DropToken) -> None:
    """Adds a second admin token, or takes the first of two away.

    Raises:
        KubeError: refused; a 409 means that the Secret is not the one that the plan was made from.
    """
    live = await kube.get("Secret", network.namespace, action.secret)
    if live is None or live["metadata"]["uid"] != action.uid:
        raise KubeError(f"Secret {action.secret} was replaced while its token was exchanged", status=409)
    there = reading.tokens(reading.secret_text(live, names.ADMIN_TOKENS))
    expected = (action.present,) if isinstance(action, AddToken) else (action.present, action.following)
    if tuple(map(reading.fingerprint, there)) != expected:
        raise KubeError(f"Secret {action.secret} holds other tokens than before", status=409)
    kept = [*there, generate(KeyKind.TOKEN)] if isinstance(action, AddToken) else there[1:]
    text = "".join(f"{token}\n" for token in kept)
    change = {
        "metadata": {"resourceVersion": live["metadata"]["resourceVersion"], "uid": action.uid},
        "data": {names.ADMIN_TOKENS: base64.b64encode(text.encode()).decode()},
    }
    await kube.merge("Secret", network.namespace, action.secret, change)

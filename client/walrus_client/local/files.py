"""The files of a local network: keys, tokens, the chain's genesis, everybody's configuration.

Secrets and genesis are made once and stay with the data; configurations are written anew at each start.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from walrus_client.errors import LocalNetworkError
from walrus_client.local import configs
from walrus_client.local.state import Layout, LocalState
from walrus_sui.keys import BlsKey, NetworkKey, SuiKey


def make(layout: Layout, state: LocalState) -> None:
    """Makes what is not there yet, and writes all configurations."""
    _write_once(layout.devnet / "genesis.yaml", lambda: configs.genesis(state, seed=secrets.token_hex(16)))
    for index, name in enumerate(state.parameters.node_names):
        folder = layout.node(name)
        keys = configs.node_keys(folder)
        for kind, key in (("protocol", BlsKey), ("network", NetworkKey), ("sui", SuiKey)):
            _key_once(keys[kind], key)
        _token_once(configs.admin_tokens(folder))
        _write(folder / "node.yaml", configs.node(state, layout, index))
    _key_once(configs.gateway_key(layout), SuiKey)
    _write(layout.gateway / "gateway.yaml", configs.gateway(state, layout))
    _key_once(layout.treasury_key, SuiKey)


def remove(layout: Layout) -> None:
    """Removes what a network made, the file that tells of it last; what others put into the folder stays.

    Raises:
        LocalNetworkError: something cannot be removed.
    """
    try:
        for part in layout.parts:
            if part.is_dir():
                shutil.rmtree(part)
            else:
                part.unlink(missing_ok=True)
        if not any(layout.root.iterdir()):
            layout.root.rmdir()
    except OSError as error:
        raise LocalNetworkError(f"cannot remove {error.filename}: {error.strerror}") from error


def _key_once(path: Path, kind: type[BlsKey | NetworkKey | SuiKey]) -> None:
    """Makes a key file unless there is one."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        kind.generate().save(path)


def _token_once(path: Path) -> None:
    """Makes a token, for this user's eyes only, unless there is one."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(f"{secrets.token_urlsafe(32)}\n", encoding="ascii")


def _write_once(path: Path, document: Callable[[], dict[str, Any]]) -> None:
    if not path.exists():
        _write(path, document())


def _write(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")

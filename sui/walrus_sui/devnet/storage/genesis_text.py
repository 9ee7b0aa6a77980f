"""The genesis that a ledger was made from, as it stands in the ledger.

It is JSON by field name. What may change between starts (the checkpoint interval) is not in it; a field that a later
program version added is not in the text of an older ledger, and its default goes on.
"""

import json
from dataclasses import asdict
from typing import Any

from walrus_codec.types import EncodingType, SuiAddress
from walrus_sui.devnet.genesis_config import GenesisConfig, Prefunded
from walrus_sui.devnet.storage.schema import StoreError


def write(genesis: GenesisConfig) -> str:
    """What may not change once the chain exists."""
    fields = asdict(genesis)
    del fields["checkpoint_interval_ms"]
    return json.dumps(fields, sort_keys=True)


def read(text: str) -> GenesisConfig:
    """The genesis that `write` wrote, with the default interval."""
    fields: dict[str, Any] = json.loads(text)
    fields["encoding_types"] = tuple(EncodingType(item) for item in fields["encoding_types"])
    fields["prefunded"] = tuple(
        Prefunded(SuiAddress(item["address"]), item["sui"], item["wal"]) for item in fields["prefunded"]
    )
    return GenesisConfig(**fields)


def check(stored: str, given: GenesisConfig) -> None:
    """Checks that a ledger goes on with the genesis that it was made with.

    Raises:
        StoreError: a field differs; the message names it.
    """
    was, now = json.loads(stored), json.loads(write(given))
    changed = [f"{name} was {was[name]}, is {now.get(name)}" for name in was if was[name] != now.get(name)]
    if changed:
        raise StoreError(
            "the data directory holds a chain of another genesis: use its configuration again, or an empty directory "
            f"({'; '.join(changed)})"
        )


def to_mapping(genesis: GenesisConfig) -> dict[str, Any]:
    """The genesis part of a configuration file that a ledger can go on with."""
    return {
        "seed": genesis.seed,
        "n_shards": genesis.n_shards,
        "encoding": [item.label.lower() for item in genesis.encoding_types],
        "epoch_duration": f"{genesis.epoch_duration_ms // 1000}s",
        "epoch_zero_duration": f"{genesis.epoch_zero_duration_ms // 1000}s",
        "max_epochs_ahead": genesis.max_epochs_ahead,
        "exchange_rate": {"wal": genesis.exchange_wal, "sui": genesis.exchange_sui},
        "exchange_funding": genesis.exchange_funding,
        "prefunded": [{"address": item.address, "sui": item.sui, "wal": item.wal} for item in genesis.prefunded],
    }

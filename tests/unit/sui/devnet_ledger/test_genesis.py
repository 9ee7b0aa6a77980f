from typing import Any

import pytest

from walrus_codec.types import EncodingType
from walrus_sui.devnet.genesis import GenesisConfig, Prefunded
from walrus_sui.devnet.ledger.errors import GenesisError


def test_defaults() -> None:
    config = GenesisConfig.from_mapping({})
    assert config == GenesisConfig()
    assert (config.n_shards, config.epoch_duration_ms, config.epoch_zero_duration_ms) == (100, 600_000, 10_000)
    assert (config.max_epochs_ahead, config.encoding_types) == (53, (EncodingType.ISAL,))


def test_everything_can_be_said() -> None:
    config = GenesisConfig.from_mapping(
        {
            "seed": 7,
            "n_shards": 10,
            "encoding": ["rs2", "isal"],
            "epoch_duration": "1h2m3s",
            "epoch_zero_duration": "0s",
            "max_epochs_ahead": 5,
            "checkpoint_interval_ms": 100,
            "exchange_rate": {"wal": 2, "sui": 3},
            "exchange_funding": 9,
            "prefunded": [{"address": "0xA", "sui": 4}, {"address": "0xb", "wal": 5}],
        }
    )
    assert config == GenesisConfig(
        seed="7",
        n_shards=10,
        encoding_types=(EncodingType.RS2, EncodingType.ISAL),
        epoch_duration_ms=3_723_000,
        epoch_zero_duration_ms=0,
        max_epochs_ahead=5,
        checkpoint_interval_ms=100,
        exchange_wal=2,
        exchange_sui=3,
        exchange_funding=9,
        prefunded=(
            Prefunded("0x" + "0" * 63 + "a", 4, 0),  # type: ignore[arg-type]
            Prefunded("0x" + "0" * 63 + "b", 0, 5),  # type: ignore[arg-type]
        ),
    )


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"n_shard": 1}, "n_shard"),
        ({"seed": ""}, "seed"),
        ({"n_shards": 3}, "n_shards"),
        ({"n_shards": 256, "encoding": "isal"}, "n_shards"),
        ({"n_shards": "10"}, "n_shards"),
        ({"n_shards": True}, "n_shards"),
        ({"encoding": "raptor"}, "encoding"),
        ({"encoding": []}, "encoding"),
        ({"epoch_duration": "10"}, "epoch_duration"),
        ({"epoch_duration": ""}, "epoch_duration"),
        ({"epoch_duration": "0s"}, "epoch_duration"),
        ({"epoch_duration": 600}, "epoch_duration"),
        ({"max_epochs_ahead": 0}, "max_epochs_ahead"),
        ({"max_epochs_ahead": 1001}, "max_epochs_ahead"),
        ({"checkpoint_interval_ms": 0}, "checkpoint_interval_ms"),
        ({"exchange_rate": {"wal": 0}}, "exchange_rate"),
        ({"exchange_rate": {"btc": 1}}, "exchange_rate"),
        ({"exchange_rate": 1}, "exchange_rate"),
        ({"exchange_funding": 5_000_000_001}, "exchange_funding"),
        ({"exchange_funding": -1}, "exchange_funding"),
        ({"prefunded": {}}, "prefunded"),
        ({"prefunded": [{"address": "alice"}]}, "prefunded[0].address"),
        ({"prefunded": [{"address": "0x1", "sui": -1}]}, "prefunded"),
        ({"prefunded": [{"address": "0x1", "sui": 10_000_000_000}]}, "prefunded"),
        ({"prefunded": [{"address": "0x1", "eth": 1}]}, "prefunded[0]"),
    ],
)
def test_mistakes_are_named(data: dict[str, Any], field: str) -> None:
    with pytest.raises(GenesisError) as caught:
        GenesisConfig.from_mapping(data)
    assert field in str(caught.value)

"""What a chain is made from: the genesis part of a devnet's configuration, read and checked once.

It is fixed for the life of a chain; a stored chain can only go on with the configuration that it was made with.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from walrus_codec.errors import CodecError
from walrus_codec.params import CodeParams
from walrus_codec.types import EncodingType, SuiAddress
from walrus_sui.devnet.ledger.errors import GenesisError
from walrus_sui.devnet.move.core import tags
from walrus_sui.devnet.move.wal import wal
from walrus_sui.devnet.move.walrus.system_state_inner import MAX_MAX_EPOCHS_AHEAD

TOTAL_SUI: Final = 10_000_000_000
TOTAL_WAL: Final = wal.TOTAL_SUPPLY // wal.FROST_PER_WAL

KEYS: Final = {
    "seed": "Any text; all ids and the faucet's key follow from it.",
    "n_shards": "Shards of the Walrus network, 1 more than a multiple of 3.",
    "encoding": "`isal` or `rs2`, or a list of what the contract accepts; the first one is the default of new blobs.",
    "epoch_duration": "Length of an epoch, such as `1h30m` or `30s`, counted from the end of its change.",
    "epoch_zero_duration": "Time before the first committee may be selected.",
    "max_epochs_ahead": "How many epochs ahead storage can be bought.",
    "checkpoint_interval_ms": "Time between checkpoints, 10 to 60000; the one key of genesis that may change later.",
    "exchange_rate": "`{wal, sui}`: the exchange gives `wal` FROST for `sui` MIST.",
    "exchange_funding": "Whole WAL in the exchange.",
    "prefunded": "Accounts with money from the start: a list of `{address, sui, wal}` in whole coins.",
}
"""Keys of genesis in the configuration file, and what they mean."""

_DURATION = re.compile(r"(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?\Z")


@dataclass(frozen=True, slots=True)
class Prefunded:
    """An account that has money from the start: whole SUI and whole WAL."""

    address: SuiAddress
    sui: int
    wal: int


@dataclass(frozen=True, slots=True)
class GenesisConfig:
    """What makes a chain.

    Attributes:
        seed: any text; all ids and the faucet's key follow from it.
        n_shards: shards of the Walrus network.
        encoding_types: encodings that the contract accepts; the first one is the network's default.
        epoch_duration_ms: length of a Walrus epoch, counted from the end of its change.
        epoch_zero_duration_ms: time before the first committee may be selected.
        max_epochs_ahead: how many epochs ahead storage can be bought.
        checkpoint_interval_ms: time between checkpoints.
        exchange_wal, exchange_sui: the exchange gives `exchange_wal` FROST for `exchange_sui` MIST.
        exchange_funding: whole WAL in the exchange.
        prefunded: accounts with money.
    """

    seed: str = "walrus-devnet"
    n_shards: int = 100
    encoding_types: tuple[EncodingType, ...] = (EncodingType.ISAL,)
    epoch_duration_ms: int = 600_000
    epoch_zero_duration_ms: int = 10_000
    max_epochs_ahead: int = 53
    checkpoint_interval_ms: int = 250
    exchange_wal: int = 1
    exchange_sui: int = 1
    exchange_funding: int = 1_000_000_000
    prefunded: tuple[Prefunded, ...] = ()

    def __post_init__(self) -> None:
        _check(bool(self.seed), "seed", "must not be empty")
        _check(bool(self.encoding_types), "encoding", "needs at least one of isal, rs2")
        for encoding in self.encoding_types:
            try:
                CodeParams(self.n_shards, encoding)
            except CodecError as error:
                raise GenesisError(f"n_shards: {error}") from None
        _check(self.epoch_duration_ms > 0, "epoch_duration", "must be positive")
        _check(self.epoch_zero_duration_ms >= 0, "epoch_zero_duration", "must not be negative")
        _check(
            1 <= self.max_epochs_ahead <= MAX_MAX_EPOCHS_AHEAD, "max_epochs_ahead", f"must be 1..{MAX_MAX_EPOCHS_AHEAD}"
        )
        _check(self.checkpoint_interval_ms > 0, "checkpoint_interval_ms", "must be positive")
        _check(min(self.exchange_wal, self.exchange_sui) > 0, "exchange_rate", "both sides must be positive")
        _check(self.exchange_funding >= 0, "exchange_funding", "must not be negative")
        _check(all(min(item.sui, item.wal) >= 0 for item in self.prefunded), "prefunded", "must not be negative")
        wal_needed = self.exchange_funding + sum(item.wal for item in self.prefunded)
        _check(wal_needed <= TOTAL_WAL, "exchange_funding, prefunded", f"take {wal_needed} WAL, there are {TOTAL_WAL}")
        sui_needed = sum(item.sui for item in self.prefunded)
        _check(sui_needed < TOTAL_SUI, "prefunded", f"takes {sui_needed} SUI, there are {TOTAL_SUI}")

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> "GenesisConfig":
        """Reads a configuration file's content.

        `KEYS` names the keys; what is left out has its default.

        Raises:
            GenesisError: an unknown key, a wrong type or a value out of range; the message names the key.
        """
        known: dict[str, Callable[[Any], dict[str, Any]]] = {
            "seed": lambda value: {"seed": _text("seed", value)},
            "n_shards": lambda value: {"n_shards": _integer("n_shards", value)},
            "encoding": lambda value: {"encoding_types": _encodings(value)},
            "epoch_duration": lambda value: {"epoch_duration_ms": _duration("epoch_duration", value)},
            "epoch_zero_duration": lambda value: {"epoch_zero_duration_ms": _duration("epoch_zero_duration", value)},
            "max_epochs_ahead": lambda value: {"max_epochs_ahead": _integer("max_epochs_ahead", value)},
            "checkpoint_interval_ms": lambda value: {
                "checkpoint_interval_ms": _integer("checkpoint_interval_ms", value)
            },
            "exchange_rate": _exchange_rate,
            "exchange_funding": lambda value: {"exchange_funding": _integer("exchange_funding", value)},
            "prefunded": lambda value: {"prefunded": _prefunded(value)},
        }
        unknown = sorted(set(data) - set(known))
        _check(not unknown, ", ".join(unknown), f"unknown; known keys are {', '.join(known)}")
        arguments: dict[str, Any] = {}
        for key, value in data.items():
            arguments |= known[key](value)
        return cls(**arguments)


def _check(holds: bool, field: str, complaint: str) -> None:  # noqa: FBT001 - reads as an assertion
    if not holds:
        raise GenesisError(f"{field}: {complaint}")


def _text(field: str, value: Any) -> str:
    _check(isinstance(value, str | int) and not isinstance(value, bool), field, "must be text")
    return str(value)


def _integer(field: str, value: Any) -> int:
    _check(isinstance(value, int) and not isinstance(value, bool), field, f"must be a whole number, not {value!r}")
    return int(value)


def _duration(field: str, value: Any) -> int:
    match = _DURATION.match(value) if isinstance(value, str) and value else None
    if match is None:
        raise GenesisError(f"{field}: must be a duration like 1h30m or 10s, not {value!r}")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((hours * 60 + minutes) * 60 + seconds) * 1000


def _encodings(value: Any) -> tuple[EncodingType, ...]:
    names = value if isinstance(value, list) else [value]
    try:
        return tuple(dict.fromkeys(EncodingType.parse(str(name)) for name in names))
    except CodecError as error:
        raise GenesisError(f"encoding: {error}") from None


def _mapping(field: str, value: Any, keys: set[str]) -> Mapping[str, Any]:
    _check(isinstance(value, Mapping) and set(value) <= keys, field, f"must have the keys {', '.join(sorted(keys))}")
    found: Mapping[str, Any] = value
    return found


def _exchange_rate(value: Any) -> dict[str, int]:
    rate = _mapping("exchange_rate", value, {"wal", "sui"})
    return {
        "exchange_wal": _integer("exchange_rate.wal", rate.get("wal", 1)),
        "exchange_sui": _integer("exchange_rate.sui", rate.get("sui", 1)),
    }


def _prefunded(value: Any) -> tuple[Prefunded, ...]:
    _check(isinstance(value, list), "prefunded", "must be a list")
    found: list[Prefunded] = []
    for index, entry in enumerate(value):
        field = f"prefunded[{index}]"
        account = _mapping(field, entry, {"address", "sui", "wal"})
        try:
            address = SuiAddress(tags.normalize_address(str(account.get("address", ""))))
        except tags.TypeTagError as error:
            raise GenesisError(f"{field}.address: {error}") from None
        sui, wal_ = _integer(f"{field}.sui", account.get("sui", 0)), _integer(f"{field}.wal", account.get("wal", 0))
        found.append(Prefunded(address, sui, wal_))
    return tuple(found)

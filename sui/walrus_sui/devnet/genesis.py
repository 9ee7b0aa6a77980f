"""Genesis: from a configuration to the first objects of a chain.

`GenesisConfig.from_mapping` reads what an operator wrote; `build` publishes the packages, mints SUI and WAL, and sets up
the Walrus contract by running the same native code that transactions run later. All ids follow from the seed: a chain
that is made again from the same configuration has the same addresses (its chain id differs, because the time does).

Source: contract module init (``initialize_walrus``).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from walrus_codec.errors import CodecError
from walrus_codec.params import CodeParams
from walrus_codec.types import EncodingType, ObjectId, SuiAddress
from walrus_sui.devnet.ledger import digests, gas
from walrus_sui.devnet.ledger.errors import GenesisError
from walrus_sui.devnet.ledger.objects import (
    CLOCK_ID,
    IMMUTABLE,
    PACKAGE_TYPE,
    AddressOwner,
    Linkage,
    Object,
    ObjectOwner,
    Owner,
    Package,
    SharedOwner,
    TypeOrigin,
)
from walrus_sui.devnet.ledger.signatures import address_of
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core import packages, tags
from walrus_sui.devnet.move.core.packages import Packages
from walrus_sui.devnet.move.core.runtime import ChainRules, Destination, Runtime
from walrus_sui.devnet.move.core.types import MoveType, type_of
from walrus_sui.devnet.move.framework.coin import COIN, SUI_TAG, Balance, Coin, CoinMetadata, SuiCoin
from walrus_sui.devnet.move.framework.objects import Clock
from walrus_sui.devnet.move.wal import wal
from walrus_sui.devnet.move.wal_exchange import wal_exchange
from walrus_sui.devnet.move.walrus import staking, system
from walrus_sui.devnet.move.walrus.system_state_inner import MAX_MAX_EPOCHS_AHEAD

MIST_PER_SUI = 10**9
TOTAL_SUI = 10_000_000_000
TOTAL_WAL = wal.TOTAL_SUPPLY // wal.FROST_PER_WAL
COIN_SUI = COIN.concrete("Coin", type_of(SuiCoin))

_DURATION = re.compile(r"(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?\Z")
_PUBLISHED = (packages.WAL, packages.WAL_EXCHANGE, packages.WALRUS)


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
        _check(self.n_shards % 3 == 1, "n_shards", "must be 1 more than a multiple of 3, so that all quorums agree")
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

        Keys: ``seed``, ``n_shards``, ``encoding`` (``isal`` or ``rs2``, or a list of them), ``epoch_duration`` and
        ``epoch_zero_duration`` (like ``1h30m`` or ``10s``), ``max_epochs_ahead``, ``checkpoint_interval_ms``,
        ``exchange_rate`` (``{wal, sui}``), ``exchange_funding`` (whole WAL), ``prefunded`` (list of
        ``{address, sui, wal}``, whole coins). What is left
        out has its default.

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


@dataclass(frozen=True)
class WellKnown:
    """Ids of a chain that clients must know.

    Attributes:
        packages: where packages are published.
        system, staking, exchange, treasury: shared objects, all shared at version 1.
        wal_type, sui_type: coin types, canonical.
        faucet: address of the faucet's account, which also owns the WAL that nobody else has and the exchange's
            admin capability.
    """

    packages: Packages
    system: ObjectId
    staking: ObjectId
    exchange: ObjectId
    treasury: ObjectId
    wal_type: str
    sui_type: str
    faucet: SuiAddress

    @property
    def sui_coin(self) -> str:
        """Type of a coin of SUI."""
        return f"{packages.SUI}::coin::Coin<{self.sui_type}>"

    @property
    def wal_coin(self) -> str:
        """Type of a coin of WAL."""
        return f"{packages.SUI}::coin::Coin<{self.wal_type}>"

    @property
    def walrus_package(self) -> ObjectId:
        """Package of the Walrus contract."""
        return self.packages.id_of(packages.WALRUS)

    @property
    def wal_package(self) -> ObjectId:
        """Package of the WAL coin."""
        return self.packages.id_of(packages.WAL)

    @property
    def exchange_package(self) -> ObjectId:
        """Package of the exchange."""
        return self.packages.id_of(packages.WAL_EXCHANGE)


@dataclass(frozen=True)
class Genesis:
    """What `build` makes: objects without a previous transaction, and what is known about them."""

    objects: tuple[Object, ...]
    well_known: WellKnown
    rules: ChainRules


def faucet_key(config: GenesisConfig) -> Ed25519PrivateKey:
    """The key of the faucet's account. Devnets have no secrets: whoever knows the seed knows the key."""
    return Ed25519PrivateKey.from_private_bytes(_derived(config, "faucet key"))


def published_packages(config: GenesisConfig) -> Packages:
    """Ids of the packages."""
    return Packages(tuple((name, ObjectId("0x" + _derived(config, f"package {name}").hex())) for name in _PUBLISHED))


def _derived(config: GenesisConfig, purpose: str) -> bytes:
    return digests.blake2b(b"walrus devnet", config.seed.encode(), b"\0", purpose.encode())


def build(config: GenesisConfig, *, now_ms: int) -> Genesis:
    """Makes the first objects; `now_ms` is the clock at genesis."""
    rules = ChainRules(published_packages(config), frozenset(int(item) for item in config.encoding_types))
    faucet = address_of(faucet_key(config).public_key().public_bytes_raw())
    rt = Runtime(
        sender=faucet,
        digest=_derived(config, "object ids"),
        rules=rules,
        load=lambda _: None,
        resolve=registry.resolve,
    )
    clock = Clock(CLOCK_ID, now_ms)
    rt.share(type_of(Clock), clock)
    treasury, wal_left = wal.init(rt)
    _freeze_sui_metadata(rt)
    walrus_package = rules.packages.id_of(packages.WALRUS)
    system_ = system.create_empty(rt, config.max_epochs_ahead, walrus_package)
    staking_ = staking.create(
        rt,
        clock,
        epoch_zero_duration=config.epoch_zero_duration_ms,
        epoch_duration=config.epoch_duration_ms,
        n_shards=config.n_shards,
        package_id=walrus_package,
    )
    rate = wal_exchange.ExchangeRate(config.exchange_wal, config.exchange_sui)
    funding = wal_left.balance.split(config.exchange_funding * wal.FROST_PER_WAL).into_coin(rt)
    exchange, cap = wal_exchange.create_at_genesis(rt, rate, funding)
    rt.transfer(type_of(wal_exchange.AdminCap), cap, faucet)
    _fund_accounts(rt, config, wal_left)
    well_known = WellKnown(
        packages=rules.packages,
        system=system_.id,
        staking=staking_.id,
        exchange=exchange,
        treasury=treasury.id,
        wal_type=str(rules.packages.published(wal.WAL_TAG)),
        sui_type=str(SUI_TAG),
        faucet=faucet,
    )
    objects = (*_packages(rules.packages), *_objects(rt))
    return Genesis(objects, well_known, rules)


def _freeze_sui_metadata(rt: Runtime) -> None:
    metadata = CoinMetadata(rt.new_uid(), 9, "Sui", "SUI", "", None)
    rt.freeze(COIN.concrete("CoinMetadata", type_of(SuiCoin)), metadata)


def _fund_accounts(rt: Runtime, config: GenesisConfig, wal_left: Coin) -> None:
    sui_left = Balance(TOTAL_SUI * MIST_PER_SUI)
    for account in config.prefunded:
        if account.sui:
            rt.transfer(COIN_SUI, sui_left.split(account.sui * MIST_PER_SUI).into_coin(rt), account.address)
        if account.wal:
            coin = wal_left.balance.split(account.wal * wal.FROST_PER_WAL).into_coin(rt)
            rt.transfer(wal.COIN_WAL, coin, account.address)
    rt.transfer(COIN_SUI, sui_left.into_coin(rt), rt.sender)
    rt.transfer(wal.COIN_WAL, wal_left, rt.sender)


def _objects(rt: Runtime) -> list[Object]:
    made: list[Object] = []
    for child_id, change in rt.child_changes().items():
        if change.contents is not None:
            made.append(_sealed(rt, child_id, change.move_type, change.contents, ObjectOwner(change.parent)))
    for object_id, sent in rt.transfers.items():
        owner: Owner = SharedOwner(1) if sent.destination is Destination.SHARED else IMMUTABLE
        if sent.recipient is not None:
            owner = AddressOwner(sent.recipient)
        made.append(_sealed(rt, object_id, sent.move_type, sent.move_type.to_bcs(sent.value), owner))
    return sorted(made, key=lambda obj: obj.object_id)


def _sealed(rt: Runtime, object_id: ObjectId, move_type: MoveType, contents: bytes, owner: Owner) -> Object:
    text = str(rt.rules.packages.published(move_type.tag))
    cost, public = gas.storage_cost(text, len(contents)), "store" in move_type.abilities
    return Object(object_id, 1, owner, text, contents, digests.ZERO_DIGEST, cost, public)


def _packages(published: Packages) -> list[Object]:
    std, sui = ObjectId(packages.STD), ObjectId(packages.SUI)
    framework = (Linkage(std, std, 1), Linkage(sui, sui, 1))
    wal_link = (Linkage(published.id_of(packages.WAL), published.id_of(packages.WAL), 1),)
    linkage = {packages.STD: (), packages.SUI: framework[:1], packages.WAL: framework}
    return [
        _package(published, alias, linkage.get(alias, (*framework, *wal_link)))
        for alias in (packages.STD, packages.SUI, *_PUBLISHED)
    ]


def _package(published: Packages, alias: str, linkage: tuple[Linkage, ...]) -> Object:
    object_id = published.id_of(alias)
    modules = sorted(registry.modules_of(alias), key=lambda module: module.name)
    package = Package(
        object_id,
        1,
        tuple((module.name, b"") for module in modules),
        tuple(TypeOrigin(module.name, name, object_id) for module in modules for name in sorted(module.structs)),
        tuple(sorted(linkage, key=lambda link: link.original_id)),
    )
    draft = Object(object_id, 1, IMMUTABLE, PACKAGE_TYPE, package.to_bcs(), digests.ZERO_DIGEST, 0)
    return replace(draft, storage_rebate=gas.object_cost(draft))

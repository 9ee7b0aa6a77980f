"""Genesis: from a configuration to the first objects of a chain.

`build` publishes the packages, mints SUI and WAL, and sets up the Walrus contract by running the same native code that
transactions run later. All ids follow from the seed: a chain
that is made again from the same configuration has the same addresses (its chain id differs, because the time does).

Source: contract module init (``initialize_walrus``).
"""

from dataclasses import dataclass, replace
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from walrus_codec.types import ObjectId, SuiAddress
from walrus_sui.devnet.genesis_config import TOTAL_SUI, GenesisConfig, Prefunded
from walrus_sui.devnet.ledger import digests, gas
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
from walrus_sui.devnet.move.core import packages
from walrus_sui.devnet.move.core.packages import Packages
from walrus_sui.devnet.move.core.runtime import ChainRules, Destination, Runtime
from walrus_sui.devnet.move.core.types import MoveType, type_of
from walrus_sui.devnet.move.framework.coin import COIN, SUI_TAG, Balance, Coin, CoinMetadata, SuiCoin
from walrus_sui.devnet.move.framework.objects import Clock
from walrus_sui.devnet.move.framework.package import COMPATIBLE, Publisher, UpgradeCap
from walrus_sui.devnet.move.wal import wal
from walrus_sui.devnet.move.wal_exchange import wal_exchange
from walrus_sui.devnet.move.walrus import init, slashing
from walrus_sui.devnet.move.walrus.staking import Staking
from walrus_sui.devnet.move.walrus.system import System
from walrus_sui.devnet.move.walrus.upgrade import EmergencyUpgradeCap, UpgradeManager
from walrus_sui.devnet.move.walrus_subsidies import walrus_subsidies

__all__ = ["Genesis", "GenesisConfig", "Prefunded", "WellKnown", "build", "faucet_key", "published_packages"]

MIST_PER_SUI = 10**9
COIN_SUI = COIN.concrete("Coin", type_of(SuiCoin))

T = TypeVar("T")

_PUBLISHED = (packages.WAL, packages.WAL_EXCHANGE, packages.WALRUS, packages.WALRUS_SUBSIDIES)


@dataclass(frozen=True)
class WellKnown:
    """Ids of a chain that clients must know.

    Attributes:
        packages: where packages are published.
        system, staking, exchange, treasury, slashing_manager, upgrade_manager, subsidies: shared objects, all shared at
            version 1.
        wal_type, sui_type: coin types, canonical.
        faucet: address of the faucet's account, which also owns the WAL that nobody else has, the admin capabilities of
            exchange and subsidies, and the emergency upgrade capability.
    """

    packages: Packages
    system: ObjectId
    staking: ObjectId
    exchange: ObjectId
    treasury: ObjectId
    slashing_manager: ObjectId
    upgrade_manager: ObjectId
    subsidies: ObjectId
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

    @property
    def subsidies_package(self) -> ObjectId:
        """Package of the subsidies."""
        return self.packages.id_of(packages.WALRUS_SUBSIDIES)


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
    _initialize_walrus(rt, config, clock)
    rate = wal_exchange.ExchangeRate(config.exchange_wal, config.exchange_sui)
    funding = wal_left.balance.split(config.exchange_funding * wal.FROST_PER_WAL).into_coin(rt)
    exchange, cap = wal_exchange.create_at_genesis(rt, rate, funding)
    rt.transfer(type_of(wal_exchange.AdminCap), cap, faucet)
    _fund_accounts(rt, config, wal_left)
    well_known = WellKnown(
        packages=rules.packages,
        system=_shared(rt, System).id,
        staking=_shared(rt, Staking).id,
        exchange=exchange,
        treasury=treasury.id,
        slashing_manager=slashing.new(rt).id,
        upgrade_manager=_shared(rt, UpgradeManager).id,
        subsidies=_subsidies(rt),
        wal_type=str(rules.packages.published(wal.WAL_TAG)),
        sui_type=str(SUI_TAG),
        faucet=faucet,
    )
    objects = (*_packages(rules.packages), *_objects(rt))
    return Genesis(objects, well_known, rules)


def _initialize_walrus(rt: Runtime, config: GenesisConfig, clock: Clock) -> None:
    package_id = rt.rules.packages.id_of(packages.WALRUS)
    init_cap = init.InitCap(rt.new_uid(), Publisher(rt.new_uid(), package_id[2:], init.MODULE.name))
    cap = init.initialize_walrus(
        rt,
        init_cap,
        UpgradeCap(rt.new_uid(), package_id, 1, COMPATIBLE),
        config.epoch_zero_duration_ms,
        config.epoch_duration_ms,
        config.n_shards,
        config.max_epochs_ahead,
        clock,
    )
    rt.transfer(type_of(EmergencyUpgradeCap), cap, rt.sender)


def _subsidies(rt: Runtime) -> ObjectId:
    """A purse that pays nothing until the holder of its capability says how much."""
    subsidies, cap = walrus_subsidies.create(
        rt, _shared(rt, System), _shared(rt, Staking), system_subsidy_rate=0, base_subsidy=0, subsidy_per_shard=0
    )
    rt.transfer(type_of(walrus_subsidies.AdminCap), cap, rt.sender)
    return subsidies.id


def _shared(rt: Runtime, kind: type[T]) -> T:
    (found,) = [sent.value for sent in rt.transfers.values() if isinstance(sent.value, kind)]
    return found


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
    walrus_link = (Linkage(published.id_of(packages.WALRUS), published.id_of(packages.WALRUS), 1),)
    linkage = {
        packages.STD: (),
        packages.SUI: framework[:1],
        packages.WAL: framework,
        packages.WALRUS_SUBSIDIES: (*framework, *wal_link, *walrus_link),
    }
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

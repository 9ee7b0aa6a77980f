"""The shared purse and its public functions (module walrus_subsidies).

Anybody may fill it and have it pay what is due; the holder of the admin capability sets how much that is.
"""

# ruff: noqa: PLR0917 - public functions take what their Move counterparts take

from dataclasses import dataclass

from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core.aborts import require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS_SUBSIDIES
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import ID, UID, type_of, u64
from walrus_sui.devnet.move.framework.coin import BALANCE, COIN, Balance, Coin
from walrus_sui.devnet.move.framework.fields import DynamicField
from walrus_sui.devnet.move.framework.objects import CLOCK, Clock
from walrus_sui.devnet.move.wal.wal import MODULE as WAL
from walrus_sui.devnet.move.walrus import staking as stakings
from walrus_sui.devnet.move.walrus import system as systems
from walrus_sui.devnet.move.walrus.staking import Staking
from walrus_sui.devnet.move.walrus.system import System
from walrus_sui.devnet.move.walrus_subsidies.walrus_subsidies_inner import WalrusSubsidiesInnerV1

MODULE = Module(WALRUS_SUBSIDIES, "walrus_subsidies", uses=(WAL, COIN, BALANCE, CLOCK, stakings.MODULE, systems.MODULE))

VERSION = 3

E_UNAUTHORIZED_ADMIN_CAP = MODULE.error(0, "EUnauthorizedAdminCap")
E_WRONG_VERSION = MODULE.error(1, "EWrongVersion")
E_INVALID_MIGRATION = MODULE.error(2, "EInvalidMigration")


@MODULE.struct()
@dataclass(slots=True)
class V1:
    """Names the package's first version."""


@MODULE.struct()
@dataclass(slots=True)
class V2:
    """Names the package's second version."""


@MODULE.struct()
@dataclass(slots=True)
class V3:
    """Names the package's present version."""


@MODULE.struct("copy, drop, store")
@dataclass(frozen=True, slots=True)
class SubsidiesInnerKey:
    """Key of the dynamic field with the state."""


INNER: DynamicField[SubsidiesInnerKey, WalrusSubsidiesInnerV1] = DynamicField(SubsidiesInnerKey, WalrusSubsidiesInnerV1)
_KEY = SubsidiesInnerKey()


@MODULE.struct("key, store")
@dataclass(slots=True)
class AdminCap:
    """Right to change how much a purse pays."""

    id: UID
    subsidies_id: ID


@MODULE.struct("key")
@dataclass(slots=True)
class WalrusSubsidies:
    """The shared purse; `package_id` is where calls go."""

    id: UID
    version: u64
    package_id: ID


def create(
    rt: Runtime,
    system: System,
    staking: Staking,
    *,
    system_subsidy_rate: int,
    base_subsidy: int,
    subsidy_per_shard: int,
) -> tuple[WalrusSubsidies, AdminCap]:
    """Makes and shares an empty purse; gives the capability. No limit holds for the rate here."""
    subsidies = WalrusSubsidies(rt.new_uid(), VERSION, _package_id(rt))
    state = WalrusSubsidiesInnerV1.new(
        rt,
        system,
        staking,
        subsidy_rate=system_subsidy_rate,
        base_subsidy=base_subsidy,
        subsidy_per_shard=subsidy_per_shard,
    )
    INNER.add(rt, subsidies.id, _KEY, state)
    cap = AdminCap(rt.new_uid(), subsidies.id)
    rt.share(type_of(WalrusSubsidies), subsidies)
    return subsidies, cap


def _package_id(rt: Runtime) -> ObjectId:
    return rt.rules.packages.id_of(WALRUS_SUBSIDIES)


@MODULE.public(
    "(system: &System, staking: &Staking, system_subsidy_rate: u32, base_subsidy: u64, subsidy_per_shard: u64,"
    " ctx: &mut TxContext): AdminCap"
)
def new(
    rt: Runtime,
    system: System,
    staking: Staking,
    system_subsidy_rate: int,
    base_subsidy: int,
    subsidy_per_shard: int,
) -> AdminCap:
    """Makes and shares an empty purse."""
    _, cap = create(
        rt,
        system,
        staking,
        system_subsidy_rate=system_subsidy_rate,
        base_subsidy=base_subsidy,
        subsidy_per_shard=subsidy_per_shard,
    )
    return cap


@MODULE.public("(self: &mut WalrusSubsidies, funds: Coin<WAL>)")
def add_coin(rt: Runtime, self: WalrusSubsidies, funds: Coin) -> None:
    """Fills the purse from a coin."""
    _inner(rt, self).subsidy_pool.join(funds.into_balance(rt))


@MODULE.public("(self: &mut WalrusSubsidies, balance: Balance<WAL>)")
def add_balance(rt: Runtime, self: WalrusSubsidies, balance: Balance) -> None:
    """Fills the purse."""
    _inner(rt, self).subsidy_pool.join(balance)


@MODULE.public("(self: &mut WalrusSubsidies, admin_cap: &AdminCap, new_rate: u32)")
def set_system_subsidy_rate(rt: Runtime, self: WalrusSubsidies, admin_cap: AdminCap, new_rate: int) -> None:
    """Sets what is added to user payments, in basis points."""
    check_admin(self, admin_cap)
    _inner(rt, self).set_system_subsidy_rate(new_rate)


@MODULE.public("(self: &mut WalrusSubsidies, admin_cap: &AdminCap, base_subsidy: u64)")
def set_base_subsidy(rt: Runtime, self: WalrusSubsidies, admin_cap: AdminCap, base_subsidy: int) -> None:
    """Sets what each member of a committee gets per epoch."""
    check_admin(self, admin_cap)
    _inner(rt, self).set_base_subsidy(base_subsidy)


@MODULE.public("(self: &mut WalrusSubsidies, admin_cap: &AdminCap, subsidy_per_shard: u64)")
def set_per_shard_subsidy(rt: Runtime, self: WalrusSubsidies, admin_cap: AdminCap, subsidy_per_shard: int) -> None:
    """Sets what each member gets on top per shard."""
    check_admin(self, admin_cap)
    _inner(rt, self).set_per_shard_subsidy(subsidy_per_shard)


@MODULE.public("(self: &mut WalrusSubsidies, staking: &mut Staking, system: &mut System, clock: &Clock)")
def process_subsidies(rt: Runtime, self: WalrusSubsidies, staking: Staking, system: System, clock: Clock) -> None:
    """Pays what is due by now."""
    _inner(rt, self).process_subsidies(rt, staking, system, clock)


@MODULE.public("(self: &mut WalrusSubsidies)")
def migrate(rt: Runtime, self: WalrusSubsidies) -> None:
    """Takes an object of an older package over; aborts for one of this version."""
    require(self.version < VERSION, E_INVALID_MIGRATION)
    self.version = VERSION
    self.package_id = _package_id(rt)


def check_admin(self: WalrusSubsidies, admin_cap: AdminCap) -> None:
    """Aborts unless the capability is of this purse."""
    require(self.id == admin_cap.subsidies_id, E_UNAUTHORIZED_ADMIN_CAP)


def check_version(self: WalrusSubsidies) -> None:
    """Aborts unless the purse is of this version."""
    require(self.version == VERSION, E_WRONG_VERSION)


def _inner(rt: Runtime, self: WalrusSubsidies) -> WalrusSubsidiesInnerV1:
    check_version(self)
    return INNER.borrow_mut(rt, self.id, _KEY)

"""How the contract comes to life, and how it moves to a new package (contract module init).

Publishing makes an `InitCap`, which `initialize_walrus` takes to share the system, staking and upgrade objects; on a
devnet genesis does both. After an upgrade `migrate_v2` of the new package moves system and staking to its VERSION: from
then on calls to older packages abort.
"""

# ruff: noqa: PLR0917 - public functions take what their Move counterparts take

from dataclasses import dataclass

from walrus_sui.devnet.move.core.aborts import abort, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import UID
from walrus_sui.devnet.move.framework import objects, package
from walrus_sui.devnet.move.framework.objects import Clock
from walrus_sui.devnet.move.framework.package import Publisher, UpgradeCap
from walrus_sui.devnet.move.walrus import staking as stakings
from walrus_sui.devnet.move.walrus import system as systems
from walrus_sui.devnet.move.walrus import upgrade
from walrus_sui.devnet.move.walrus.events import ContractUpgraded
from walrus_sui.devnet.move.walrus.staking import Staking
from walrus_sui.devnet.move.walrus.system import System
from walrus_sui.devnet.move.walrus.upgrade import EmergencyUpgradeCap

MODULE = Module(
    WALRUS,
    "init",
    uses=(objects.CLOCK, package.PACKAGE, stakings.MODULE, systems.MODULE, upgrade.MODULE),
)

E_INVALID_MIGRATION = MODULE.error(0, "EInvalidMigration")
E_INVALID_UPGRADE_CAP = MODULE.error(1, "EInvalidUpgradeCap")
E_DEPRECATED_FUNCTION = MODULE.error(2, "EDeprecatedFunction")


@MODULE.struct("key, store")
@dataclass(slots=True)
class InitCap:
    """Right to initialize the contract, once."""

    id: UID
    publisher: Publisher


@MODULE.public(
    "(init_cap: InitCap, upgrade_cap: UpgradeCap, epoch_zero_duration: u64, epoch_duration: u64, n_shards: u16,"
    " max_epochs_ahead: u32, clock: &Clock, ctx: &mut TxContext): EmergencyUpgradeCap"
)
def initialize_walrus(
    rt: Runtime,
    init_cap: InitCap,
    upgrade_cap: UpgradeCap,
    epoch_zero_duration: int,
    epoch_duration: int,
    n_shards: int,
    max_epochs_ahead: int,
    clock: Clock,
) -> EmergencyUpgradeCap:
    """Shares the system, staking and upgrade objects; durations in ms."""
    rt.delete_uid(init_cap.id)
    package_id = upgrade_cap.package
    require(package_id == rt.rules.packages.id_of(WALRUS), E_INVALID_UPGRADE_CAP)
    systems.create_empty(rt, max_epochs_ahead, package_id)
    stakings.create(
        rt,
        clock,
        epoch_zero_duration=epoch_zero_duration,
        epoch_duration=epoch_duration,
        n_shards=n_shards,
        package_id=package_id,
    )
    rt.delete_uid(init_cap.publisher.id)  # the contract keeps it in its display object, which a devnet does not have
    return upgrade.new(rt, upgrade_cap)


@MODULE.public("(staking: &mut Staking, system: &mut System)")
def migrate(_rt: Runtime, _staking: Staking, _system: System) -> None:
    """Replaced by `migrate_v2`; always aborts."""
    raise abort(E_DEPRECATED_FUNCTION)


@MODULE.entry("(staking: &mut Staking, system: &mut System, ctx: &mut TxContext)")
def migrate_v2(rt: Runtime, staking: Staking, system: System) -> None:
    """Moves staking and system to the called package; called once, in the new package, after an upgrade."""
    stakings.migrate(rt, staking)
    systems.migrate(rt, system)
    require(staking.package_id == system.package_id, E_INVALID_MIGRATION)
    require(staking.version == system.version, E_INVALID_MIGRATION)
    rt.emit(ContractUpgraded(stakings.inner(rt, staking).epoch, staking.package_id, staking.version))

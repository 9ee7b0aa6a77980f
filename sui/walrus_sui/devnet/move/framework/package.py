"""The right to upgrade a package (module package).

`authorize_upgrade` turns the capability into a ticket that names the new code by its digest; the command ``Upgrade`` of a
transaction turns the ticket into a receipt that names the new package; `commit_upgrade` takes the receipt back. Ticket and
receipt have no abilities: all three happen in one transaction or none does.
"""

from dataclasses import dataclass

from walrus_sui.devnet.move.core.aborts import as_u64, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import SUI
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.tags import normalize_address
from walrus_sui.devnet.move.core.types import ID, UID, ascii_string, type_of, u8, u64

PACKAGE = Module(SUI, "package")

COMPATIBLE = 0
_NO_PACKAGE = normalize_address("0x0")

E_TOO_PERMISSIVE = PACKAGE.error(1, "ETooPermissive")
E_ALREADY_AUTHORIZED = PACKAGE.error(2, "EAlreadyAuthorized")
E_NOT_AUTHORIZED = PACKAGE.error(3, "ENotAuthorized")
E_WRONG_UPGRADE_CAP = PACKAGE.error(4, "EWrongUpgradeCap")


@PACKAGE.struct("key, store")
@dataclass(slots=True)
class Publisher:
    """Proof that somebody published a module."""

    id: UID
    package: ascii_string
    module_name: ascii_string


@PACKAGE.struct("key, store")
@dataclass(slots=True)
class UpgradeCap:
    """Right to upgrade a package.

    Attributes:
        id: its id.
        package: newest version of the package; zero while an upgrade is on its way.
        version: of that package, from 1 on.
        policy: what an upgrade may change; larger is stricter.
    """

    id: UID
    package: ID
    version: u64
    policy: u8


@PACKAGE.struct()
@dataclass(slots=True)
class UpgradeTicket:
    """Lets one transaction upgrade `package` to the code with this digest."""

    cap: ID
    package: ID
    policy: u8
    digest: bytes


@PACKAGE.struct()
@dataclass(slots=True)
class UpgradeReceipt:
    """Tells that `package` is the new one."""

    cap: ID
    package: ID


UPGRADE_TICKET, UPGRADE_RECEIPT = type_of(UpgradeTicket), type_of(UpgradeReceipt)


@PACKAGE.public("(cap: &mut UpgradeCap, policy: u8, digest: vector<u8>): UpgradeTicket")
def authorize_upgrade(_rt: Runtime, cap: UpgradeCap, policy: int, digest: bytes) -> UpgradeTicket:
    """Makes the ticket; the capability can do nothing more until the receipt comes back."""
    require(cap.package != _NO_PACKAGE, E_ALREADY_AUTHORIZED)
    require(policy >= cap.policy, E_TOO_PERMISSIVE)
    package, cap.package = cap.package, _NO_PACKAGE
    return UpgradeTicket(cap.id, package, policy, digest)


@PACKAGE.public("(cap: &mut UpgradeCap, receipt: UpgradeReceipt)")
def commit_upgrade(_rt: Runtime, cap: UpgradeCap, receipt: UpgradeReceipt) -> None:
    """Takes the receipt."""
    require(receipt.cap == cap.id, E_WRONG_UPGRADE_CAP)
    require(cap.package == _NO_PACKAGE, E_NOT_AUTHORIZED)
    cap.package = receipt.package
    cap.version = as_u64(cap.version + 1)

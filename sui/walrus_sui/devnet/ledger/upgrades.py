"""Upgrades of packages: from an upgrade ticket to the new package.

A devnet runs native modules, so the code of an upgrade cannot run. Its digest is checked as on a real chain; the new
package has an id of its own and the next version, lists the same native modules, and its types keep their origins.

Source: Sui's execution layer (``execute_move_upgrade``), ``sui-types`` module move_package.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from walrus_codec.types import ObjectId
from walrus_sui.devnet.ledger import digests
from walrus_sui.devnet.ledger.failures import FailureKind, UpgradeError, UpgradeErrorKind
from walrus_sui.devnet.ledger.objects import Object, Package
from walrus_sui.devnet.ledger.programs import Upgrade
from walrus_sui.devnet.ledger.slots import CommandFailed
from walrus_sui.devnet.move.core.packages import Packages
from walrus_sui.devnet.move.framework.package import UpgradeTicket

LoadPackage = Callable[[ObjectId], Package | None]


def package_digest(modules: Sequence[bytes], dependencies: Sequence[ObjectId]) -> bytes:
    """Digest of a package's code and dependencies, whose order does not matter."""
    parts = [digests.blake2b(code) for code in modules] + [digests.write_address(item) for item in dependencies]
    return digests.blake2b(*sorted(parts))


def upgrade(command: Upgrade, ticket: UpgradeTicket, new_id: ObjectId, load: LoadPackage) -> Package:
    """The new package.

    Args:
        command: what the transaction wants.
        ticket: what it may do.
        new_id: id of the new package.
        load: gives a live package.

    Raises:
        CommandFailed: the ticket is for another package or other code, or a dependency is missing.
    """
    if command.package != ticket.package:
        raise _refused(UpgradeError(UpgradeErrorKind.PACKAGE_ID_DOES_NOT_MATCH, command.package, ticket.package))
    digest = package_digest(command.modules, command.dependencies)
    if digest != ticket.digest:
        raise _refused(UpgradeError(UpgradeErrorKind.DIGEST_DOES_NOT_MATCH, digest=digest))
    current = load(command.package)
    if current is None:
        raise _refused(UpgradeError(UpgradeErrorKind.UNABLE_TO_FETCH_PACKAGE, command.package))
    missing = [item for item in command.dependencies if load(item) is None]
    if missing:
        raise CommandFailed(FailureKind.PUBLISH_UPGRADE_MISSING_DEPENDENCY, note=f"no package {missing[0]}")
    return replace(current, object_id=new_id, version=current.version + 1)


def _refused(error: UpgradeError) -> CommandFailed:
    return CommandFailed(FailureKind.PACKAGE_UPGRADE_ERROR, upgrade=error, note=error.kind.name)


def with_upgrades(packages: Packages, objects: Iterable[Object]) -> Packages:
    """Where packages stand, given the objects of a chain or those that a transaction wrote."""
    found = [Package.from_bcs(obj.contents) for obj in objects if obj.is_package]
    for package in sorted(found, key=lambda item: item.version):
        if package.version > 1 and package.object_id not in packages.upgrades:
            packages = packages.upgraded(package.object_id)
    return packages

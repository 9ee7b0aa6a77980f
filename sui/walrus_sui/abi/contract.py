"""Where calls go: the deployed contract's newest package and its shared objects; and where its types come from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from walrus_codec.types import ObjectId
from walrus_sui.abi.ptb import Argument, MoveCall, Program, Result, Shared
from walrus_sui.errors import NetworkConfigError


@dataclass(frozen=True)
class Contract:
    """One deployment of the Walrus contract.

    Attributes:
        package_id: newest package; calls must go there (`System.package_id`).
        origin_id: first package; defines the types that it had from the start.
        system_id: the shared System.
        staking_id: the shared Staking.
        treasury_id: WAL's shared ProtectedTreasury.
        wal_type: Move type of the token.
        slashing_id: the shared SlashingManager; None when the deployment has none.
        upgrade_id: the shared UpgradeManager; None when it is not known.
        type_origins: package that defined a type, by "module::Name", for types that came with an upgrade.
    """

    package_id: ObjectId
    origin_id: ObjectId
    system_id: ObjectId
    staking_id: ObjectId
    treasury_id: ObjectId
    wal_type: str
    slashing_id: ObjectId | None = None
    upgrade_id: ObjectId | None = None
    type_origins: Mapping[str, ObjectId] = field(default_factory=dict)

    def staking(self, *, mutable: bool) -> Shared:
        """The Staking object as an argument."""
        return Shared(self.staking_id, mutable)

    def system(self, *, mutable: bool) -> Shared:
        """The System object as an argument."""
        return Shared(self.system_id, mutable)

    def treasury(self) -> Shared:
        """The ProtectedTreasury as a mutable argument."""
        return Shared(self.treasury_id, mutable=True)

    def slashing(self) -> Shared:
        """The SlashingManager as a mutable argument; raises `NetworkConfigError` when there is none."""
        if self.slashing_id is None:
            raise NetworkConfigError("this network has no SlashingManager (slashing_manager is not configured)")
        return Shared(self.slashing_id, mutable=True)

    def upgrade(self) -> Shared:
        """The UpgradeManager as a mutable argument; raises `NetworkConfigError` when it is not known."""
        if self.upgrade_id is None:
            raise NetworkConfigError("upgrade_manager is not configured: add the id of the network's UpgradeManager")
        return Shared(self.upgrade_id, mutable=True)

    def at(self, package_id: ObjectId) -> "Contract":
        """The same deployment, called at another version of the package."""
        return replace(self, package_id=package_id)

    def call(
        self, program: Program, module: str, function: str, *arguments: Argument, types: tuple[str, ...] = ()
    ) -> Result:
        """Add a call of one of the contract's functions."""
        return program.add(MoveCall(self.package_id, module, function, arguments, types))

    def type_name(self, module: str, name: str) -> str:
        """The Move type of one of the contract's structs."""
        return f"{self.type_origins.get(f'{module}::{name}', self.origin_id)}::{module}::{name}"

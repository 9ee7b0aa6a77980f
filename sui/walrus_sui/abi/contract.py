"""Where calls go: the deployed contract's newest package and its shared objects."""

from dataclasses import dataclass

from walrus_codec.types import ObjectId
from walrus_sui.abi.ptb import Shared


@dataclass(frozen=True)
class Contract:
    """One deployment of the Walrus contract.

    Attributes:
        package_id: newest package; calls must go there (`System.package_id`).
        origin_id: first package; defines the types (their type origin).
        system_id: the shared System.
        staking_id: the shared Staking.
        treasury_id: WAL's shared ProtectedTreasury.
        wal_type: Move type of the token.
    """

    package_id: ObjectId
    origin_id: ObjectId
    system_id: ObjectId
    staking_id: ObjectId
    treasury_id: ObjectId
    wal_type: str

    def staking(self, *, mutable: bool) -> Shared:
        """The Staking object as an argument."""
        return Shared(self.staking_id, mutable)

    def system(self, *, mutable: bool) -> Shared:
        """The System object as an argument."""
        return Shared(self.system_id, mutable)

    def treasury(self) -> Shared:
        """The ProtectedTreasury as a mutable argument."""
        return Shared(self.treasury_id, mutable=True)

    def type_name(self, module: str, name: str) -> str:
        """The Move type of one of the contract's structs."""
        return f"{self.origin_id}::{module}::{name}"

"""What the chain knows, as frozen values.

Life of a value: decoded from the BCS of an official object (`walrus_sui.abi`), handed to nodes, gateway and operator,
compared and thrown away. Nothing here refers back to a client. Amounts are FROST (1e-9 WAL), sizes bytes, times unix
milliseconds of the chain's clock. Object ids of staking pools are the node ids.
"""

from walrus_sui.types.committees import (
    ActiveSet,
    Committee,
    CommitteeMember,
    EpochPhase,
    EpochState,
    StakingView,
    signers_bitmap,
)
from walrus_sui.types.governance import SlashingProposal, SubsidiesView, UpgradeManagerView, UpgradeProposal
from walrus_sui.types.money import CheckpointInfo, ExchangeView, Payment
from walrus_sui.types.nodes import (
    FURTHER_KEYS_FIELD,
    GRPC_ADDRESS_FIELD,
    Authorized,
    Commission,
    NodeCap,
    NodeMetadata,
    PoolPhase,
    PoolView,
    StakedWal,
    VotingParams,
)
from walrus_sui.types.storage import (
    BYTES_PER_UNIT,
    AccountingSlot,
    BlobObject,
    Certificate,
    CertifiedBlob,
    EventBlob,
    NewBlob,
    PooledBlobObject,
    SharedBlobObject,
    SignedMessage,
    StorageObject,
    StoragePoolObject,
    SystemView,
)

__all__ = [
    "BYTES_PER_UNIT",
    "FURTHER_KEYS_FIELD",
    "GRPC_ADDRESS_FIELD",
    "AccountingSlot",
    "ActiveSet",
    "Authorized",
    "BlobObject",
    "Certificate",
    "CertifiedBlob",
    "CheckpointInfo",
    "Commission",
    "Committee",
    "CommitteeMember",
    "EpochPhase",
    "EpochState",
    "EventBlob",
    "ExchangeView",
    "NewBlob",
    "NodeCap",
    "NodeMetadata",
    "Payment",
    "PoolPhase",
    "PoolView",
    "PooledBlobObject",
    "SharedBlobObject",
    "SignedMessage",
    "SlashingProposal",
    "StakedWal",
    "StakingView",
    "StorageObject",
    "StoragePoolObject",
    "SubsidiesView",
    "SystemView",
    "UpgradeManagerView",
    "UpgradeProposal",
    "VotingParams",
    "signers_bitmap",
]

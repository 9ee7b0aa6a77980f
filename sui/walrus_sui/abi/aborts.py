"""Names of the contract's abort codes by module, so that errors and logs speak the contract's language."""

from typing import Final

_NAMES: Final[dict[str, str]] = {
    "system_state_inner": (
        "EInvalidMaxEpochsAhead EStorageExceeded EInvalidEpochsAhead EInvalidIdEpoch EIncorrectCommittee "
        "EInvalidAccountingEpoch EIncorrectAttestation ERepeatedAttestation ENotCommitteeMember "
        "EIncorrectDenyListSequence EIncorrectDenyListNode EInvalidResourceSize EInvalidStartEpoch"
    ),
    "staking_inner": (
        "EWrongEpochState EInvalidSyncEpoch EDuplicateSyncDone ENoStake ENotInCommittee ECommitteeSelected "
        "ENextCommitteeIsEmpty EInvalidNodeWeight EPoolNotFound EZeroNodeWeight EIncorrectNodeOrder"
    ),
    "staking_pool": (
        "EPoolAlreadyUpdated ECalculationError EIncorrectEpochAdvance EPoolNotEmpty EInvalidProofOfPossession "
        "EPoolAlreadyWithdrawing EPoolIsNotActive EZeroStake ENotStaked EIncorrectPoolId ENotWithdrawing "
        "EWithdrawEpochNotReached EActivationEpochNotReached EWithdrawDirectly EIncorrectCommissionRate "
        "EAuthorizationFailure EInvalidNetworkAddressLength EInvalidNameLength EZeroShares"
    ),
    "staking": "EInvalidMigration EWrongVersion EDeprecatedFunction",
    "system": "EInvalidMigration EWrongVersion EZeroExtractSize",
    "staked_wal": "ENotWithdrawing EMetadataMismatch EInvalidAmount - - - EAlreadyWithdrawing EStakeBelowThreshold",
    "slashing": "ENotAuthorized EDuplicateVote ENoProposalForNode EWrongEpoch ENotEnoughVotes",
    "upgrade": (
        "EInvalidUpgradeManager ENotAuthorized EDuplicateVote EInvalidPackageDigest ENoProposalForDigest EWrongEpoch "
        "ENotEnoughVotes EWrongVersion"
    ),
    "storage_pool": (
        "EBlobNotDeletable EResourceBounds EAlreadyCertified EInvalidBlobId EInvalidBlobPersistenceType "
        "EInvalidBlobObject EInsufficientCapacity EPoolNotEmpty EInvalidBlobSize EInvalidBlobCount EWrongVersion "
        "EIncompatibleEndEpoch EDuplicateMetadata EMissingMetadata EInvalidPercent"
    ),
    "pool_exchange_rate": "EInvalidRate",
    "pending_values": "EMissingEpochValue EReduceValueTooLarge",
    "active_set": "EZeroMaxSize EDuplicateInsertion",
    "apportionment_queue": "EPopFromEmptyHeap",
    "committee": "EInvalidShardAssignment",
    "init": "EInvalidMigration EInvalidUpgradeCap EDeprecatedFunction",
    "event_blob": "EInvalidSequenceNumber",
    "encoding": "EInvalidEncodingType",
    "walrus_subsidies": "EUnauthorizedAdminCap EWrongVersion EInvalidMigration",
    "walrus_subsidies_inner": "EInvalidSubsidyRate EInsufficientFundsInPool",
    "blob": (
        "ENotCertified EBlobNotDeletable EResourceBounds EResourceSize - EAlreadyCertified EInvalidBlobId "
        "EDuplicateMetadata EMissingMetadata EInvalidBlobPersistenceType EInvalidBlobObject"
    ),
    "bls_aggregate": "EInvalidBitmap ESigVerification ENotEnoughStake EIncorrectCommittee",
    "messages": (
        "EIncorrectAppId EIncorrectEpoch EInvalidMsgType EIncorrectIntentVersion EInvalidBlobPersistenceType "
        "ENotDeletable EInvalidKeyLength"
    ),
    "storage_node": "EInvalidNetworkPublicKey",
    "storage_accounting": "ETooFarInFuture",
    "storage_resource": "EInvalidEpoch EIncompatibleEpochs EIncompatibleAmount EInvalidEpochRange",
    "wal_exchange": "EInsufficientFundsInExchange EInsufficientInputBalance EUnauthorizedAdminCap EInvalidExchangeRate",
}

WRONG_VERSION: Final = 1
"""Code of modules `staking` and `system` when the called package is no longer the newest."""

_BY_CODE: Final = {module: names.split() for module, names in _NAMES.items()}


def name(module: str, code: int) -> str:
    """Return the contract's constant for an abort, or "" when it is not known."""
    names = _BY_CODE.get(module, [])
    found = names[code] if 0 <= code < len(names) else ""
    return "" if found == "-" else found

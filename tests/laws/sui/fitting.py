"""What must fit together in random calls: drawn before the rest of a call's arguments.

Most of them prefer objects with which the call can succeed, or make such objects in the same transaction.
"""

from collections.abc import Callable
from typing import Any

from tests.laws.sui.random_calls import KEYS, MIB, RS2, WAL, RandomCall, Unavailable

from walrus_codec.types import BlobId, Epoch, NodeId
from walrus_sui import messages
from walrus_sui.devnet.move.walrus.blob import derive_blob_id
from walrus_sui.devnet.move.walrus.staked_wal import Withdrawing
from walrus_sui.devnet.testing.internals import rt


def _register(call: RandomCall) -> None:
    root, size, blob_id = call.shape()
    size_name = "unencoded_size" if call.name == "system::register_pooled_blob" else "size"
    call.given |= {"root_hash": root, size_name: size, "blob_id": blob_id, "encoding_type": RS2}


def _register_new(call: RandomCall) -> None:
    """Often in storage that is bought for it in the same transaction."""
    _register(call)
    if call.often():
        call.given["storage"] = call.buy(10**8, call.epoch, call.epoch + call.dice.randint(1, 4))


def _fuse(call: RandomCall) -> None:
    """Mostly two pieces that were one."""
    if not call.often():
        return
    first = call.prefer("first", "Storage", lambda storage: storage.end_epoch - storage.start_epoch > 1)
    by_epoch = call.name != "storage_resource::fuse_amount" and first.end_epoch - first.start_epoch > 1
    how = {"split_epoch": first.start_epoch + 1} if by_epoch else {"split_size": first.storage_size // 3}
    name = "split_by_epoch" if by_epoch else "split_by_size"
    call.given["second"] = call.program.call(f"storage_resource::{name}", storage=first.id, **how)


def _certify(call: RandomCall) -> None:
    blob = call.prefer("blob", "Blob", lambda blob: blob.certified_epoch is None and call.lives(blob.storage))
    persistence = messages.Deletable(blob.id) if blob.deletable else messages.Permanent()
    call.certificate(messages.confirmation(_raw(blob.blob_id), Epoch(call.epoch), persistence))


def _is_certified(call: RandomCall, blob: Any) -> bool:
    return blob.certified_epoch is not None and call.lives(blob.storage)


def _certified(parameter: str) -> Callable[[RandomCall], None]:
    def prepare(call: RandomCall) -> None:
        call.prefer(parameter, "Blob", lambda blob: _is_certified(call, blob))

    return prepare


def _share(call: RandomCall) -> None:
    """Seldom one that is not certified: it could not be certified any more."""
    blob = call.prefer("blob", "Blob", lambda blob: _is_certified(call, blob))
    if not _is_certified(call, blob) and call.often():
        raise Unavailable("blob")


def _end_field(call: RandomCall) -> None:
    """Mostly one that was made in the same transaction, so that others live on."""
    if call.often():
        call.given["field"] = call.program.call("extended_field::new", types=["u64"], value=7)


def _extend_shared(call: RandomCall) -> None:
    call.prefer(
        "self",
        "SharedBlob",
        lambda shared: _is_certified(call, shared.blob) and shared.funds.value > call.dice.randrange(WAL),
    )


def _extend_with(call: RandomCall) -> None:
    _certified("blob")(call)
    storage = call.value(call.given["blob"]).storage
    if call.often():
        call.given["extension"] = call.buy(storage.storage_size, storage.end_epoch, storage.end_epoch + 1)


def _deletable(call: RandomCall) -> None:
    call.prefer("blob", "Blob", lambda blob: blob.deletable and call.lives(blob.storage))


def _with_attribute(call: RandomCall) -> None:
    """Mostly one that was set before in the same transaction."""
    module, self = call.name.split("::")[0], call.signature.arguments[0]
    if module == "storage_pool":
        _some_pooled(call)
    else:
        call.take(self.name, call.candidates(self.tag))
    key = call.given["key"] = call.dice.choice(KEYS)
    if call.often():
        setter = "insert_or_update_blob_metadata_pair" if module == "storage_pool" else "insert_or_update_metadata_pair"
        place = {name: value for name, value in call.given.items() if name != "key"}
        call.program.call(f"{module}::{setter}", key=key, value="x", **place)
    if not any(item.name == "key" for item in call.signature.arguments):
        del call.given["key"]


def _join_stake(call: RandomCall) -> None:
    """Mostly two parts of one stake."""
    staked = call.prefer("sw", "StakedWal", lambda staked: staked.principal.value >= 2 * WAL)
    if call.often():
        call.given["other"] = call.program.call("staked_wal::split", sw=staked.id, amount=WAL)


def _withdrawing(parameter: str) -> Callable[[RandomCall], None]:
    def prepare(call: RandomCall) -> None:
        call.prefer(parameter, "StakedWal", lambda staked: isinstance(staked.state, Withdrawing))

    return prepare


def _seldom(call: RandomCall) -> None:
    """It ends what another function needs."""
    if call.dice.random() < 0.7:
        raise Unavailable(call.name)


def _living_pool(call: RandomCall) -> None:
    call.prefer("storage_pool", "StoragePool", lambda pool: call.lives(call.chain.field(pool.id).storage))


def _register_pooled(call: RandomCall) -> None:
    _living_pool(call)
    _register(call)


def _grow_pool(call: RandomCall) -> None:
    _living_pool(call)
    end_epoch = call.chain.field(call.given["storage_pool"]).storage.end_epoch
    if call.often():
        call.given["storage"] = call.buy(MIB, call.epoch, end_epoch)


def _certify_pooled(call: RandomCall) -> None:
    _some_pooled(call)
    pooled = {blob.blob_id: blob for blob in call.pooled(call.given["storage_pool"])}
    blob = pooled[call.given["blob_id"]]
    persistence = messages.Deletable(blob.id) if blob.deletable else messages.Permanent()
    call.certificate(messages.confirmation(_raw(blob.blob_id), Epoch(call.epoch), persistence))


def _some_pooled(call: RandomCall, *, ended: bool = False) -> None:
    """A pool that has blobs, and one of them."""
    parameter = next(item.name for item in call.signature.arguments if item.tag.name == "StoragePool")
    pools = [(pool.id, owner) for pool, owner in call.objects("StoragePool") if call.pooled(pool.id)]
    over = [item for item in pools if call.chain.field(item[0]).storage.end_epoch <= call.epoch]
    call.take(parameter, over if ended and over else pools)
    call.given["blob_id"] = call.dice.choice(call.pooled(call.given[parameter])).blob_id


def _ended_pooled(call: RandomCall) -> None:
    _some_pooled(call, ended=True)


def _raw(blob_id: int) -> BlobId:
    return BlobId(blob_id.to_bytes(32, "little"))


def _deny(call: RandomCall) -> None:
    _member(call)
    cap, dice = call.value(call.given["cap"]), call.dice
    sequence, size = cap.deny_list_sequence + dice.randrange(3), dice.choice((0, 1, MIB, 1 << 40))
    message = messages.deny_list_update(
        NodeId(cap.node_id), sequence=sequence, size=size, root=bytes(32), epoch=Epoch(call.epoch)
    )
    call.certificate(message, bitmap="members_bitmap")


def _member(call: RandomCall) -> None:
    call.prefer("cap", "StorageNodeCap", lambda cap: cap.node_id in call.chain.staking().committee)


def _rich_purse(call: RandomCall) -> None:
    call.prefer("self", "WalrusSubsidies", lambda purse: call.chain.field(purse.id).subsidy_pool.value > 0)


def _protocol(call: RandomCall) -> None:
    _member(call)
    start = Epoch(max(0, call.epoch + call.dice.choice((-1, 0, 1, 2))))
    message = messages.protocol_version(call.dice.randrange(9), start=start, epoch=Epoch(call.epoch))
    call.certificate(message, bitmap="members_bitmap")


def _about_blob(message: Callable[[BlobId, Epoch], bytes]) -> Callable[[RandomCall], None]:
    def prepare(call: RandomCall) -> None:
        call.certificate(message(_raw(call.shape()[2]), Epoch(call.epoch)), bitmap="members_bitmap")

    return prepare


def _event_blob(call: RandomCall) -> None:
    _member(call)
    _register(call)
    latest = call.chain.system().event_blob_certification_state.latest_certified_blob
    known = 0 if latest is None else latest.ending_checkpoint_sequence_number
    call.given["ending_checkpoint_sequence_num"] = known + call.dice.choice((0, 10, 10, 10))
    # The same blob again and again, so that a quorum comes about.
    call.given |= {"root_hash": 0, "size": 1, "blob_id": derive_blob_id(rt, 0, RS2, 1)}


def _next_key(call: RandomCall) -> None:
    call.prefer("cap", "StorageNodeCap", lambda cap: True)
    call.new_key()


def _gift(call: RandomCall) -> None:
    count = call.dice.randrange(4)
    call.given["node_ids"] = [call.node_id() for _ in range(count)]
    call.given["commissions"] = call.balances(count if call.often() else count + 1)


def _collect(call: RandomCall) -> None:
    call.authority("node_id", "commission_receiver")


def _govern(call: RandomCall) -> None:
    call.authority("node_id", "governance_authorized")


def _accuse(call: RandomCall) -> None:
    call.authority("voter_node_id", "governance_authorized")


def _newest_package(call: RandomCall) -> None:
    call.at = call.chain.value(call.chain.network.staking).new_package_id


FITTING: dict[str, Callable[[RandomCall], None]] = {
    "blob::remove_metadata_pair": _with_attribute,
    "blob::remove_metadata_pair_if_exists": _with_attribute,
    "blob::take_metadata": _with_attribute,
    "extended_field::destroy": _end_field,
    "init::migrate_v2": _newest_package,
    "slashing::vote_for_slashing": _accuse,
    "staked_wal::join": _join_stake,
    "staked_wal::withdraw_epoch": _withdrawing("sw"),
    "staking::withdraw_stake": _withdrawing("staked_wal"),
    "staking::add_commission_to_pools": _gift,
    "staking::collect_commission": _collect,
    "staking::register_candidate": RandomCall.new_key,
    "staking::set_commission_receiver": _collect,
    "staking::set_governance_authorized": _govern,
    "staking::set_next_public_key": _next_key,
    "staking::set_migration_epoch": _newest_package,
    "storage_resource::fuse": _fuse,
    "storage_resource::fuse_amount": _fuse,
    "storage_resource::fuse_periods": _fuse,
    "storage_pool::add_blob_metadata": _some_pooled,
    "storage_pool::add_or_replace_blob_metadata": _some_pooled,
    "storage_pool::insert_or_update_blob_metadata_pair": _some_pooled,
    "storage_pool::remove_blob_metadata_pair": _with_attribute,
    "storage_pool::remove_blob_metadata_pair_if_exists": _with_attribute,
    "storage_pool::take_blob_metadata": _with_attribute,
    "storage_pool::blob_object_id": _some_pooled,
    "system::burn_expired_pooled_blob": _ended_pooled,
    "system::certify_blob": _certify,
    "system::certify_pooled_blob": _certify_pooled,
    "system::delete_blob": _deletable,
    "system::delete_deny_listed_blob": _about_blob(messages.deny_listed_blob_deleted),
    "system::delete_pooled_blob": _some_pooled,
    "system::invalidate_blob_id": _about_blob(messages.invalid_blob),
    "system::register_blob": _register_new,
    "shared_blob::extend": _extend_shared,
    "shared_blob::new": _share,
    "shared_blob::new_funded": _share,
    "system::certify_event_blob": _event_blob,
    "system::decrease_storage_pool_capacity_by_size": _living_pool,
    "system::decrease_storage_pool_unused_capacity_by_percent": _living_pool,
    "system::extend_blob": _certified("blob"),
    "system::extend_blob_with_resource": _extend_with,
    "system::extend_storage_pool": _living_pool,
    "system::increase_storage_pool_capacity": _living_pool,
    "system::increase_storage_pool_capacity_with_storage": _grow_pool,
    "system::register_deny_list_update": _member,
    "system::register_pooled_blob": _register_pooled,
    "system::update_deny_list": _deny,
    "system::update_protocol_version": _protocol,
    "walrus_subsidies::process_subsidies": _rich_purse,
    "upgrade::burn_emergency_upgrade_cap": _seldom,
    "upgrade::vote_for_upgrade": _govern,
}

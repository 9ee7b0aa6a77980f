"""Random calls about storage, blobs, pools, donations and attestations, for the laws of the devnet."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from walrus_codec import blob_id as blob_ids
from walrus_codec.params import CodeParams
from walrus_codec.types import BlobId, EncodingType, Epoch, NodeId, ObjectId
from walrus_sui import messages
from walrus_sui.devnet.testing import Chain, Node

WAL = 10**9
SIZES = (0, 1_000, 5_000)


class World(Protocol):
    """What the calls need of a run."""

    chain: Chain
    nodes: Sequence[Node]

    def user(self, pick: int) -> Any:
        """An account."""

    def node(self, pick: int) -> Node:
        """A node."""


def encoded(size: int) -> int:
    return CodeParams(10, EncodingType.RS2).encoded_length(size)


def blob(amount: int) -> dict[str, Any]:
    """One of a few blobs."""
    size, root = SIZES[amount % 3], bytes([amount % 5]) + bytes(31)
    blob_id = blob_ids.compute(root, EncodingType.RS2, size)
    numbers = {"blob_id": int.from_bytes(blob_id, "little"), "root_hash": int.from_bytes(root, "little")}
    return {**numbers, "size": size, "encoding_type": 1}


def own(world: World, amount: int, kind: str) -> tuple[Any, Any]:
    """An object of this kind that an account owns, after its owner; two times nothing if nobody has one."""
    found = [(user, owned) for user in map(world.user, range(5)) for owned in world.chain.owned(user, kind)]
    return found[amount % len(found)] if found else (None, None)


def shared(world: World, amount: int, kind: str) -> ObjectId | None:
    found = [obj.object_id for obj in world.chain.ledger.objects() if obj.type.endswith(f"::{kind}")]
    return sorted(found)[amount % len(found)] if found else None


def reserve(world: World, pick: int, amount: int) -> None:
    start = world.chain.system().epoch + amount % 3 // 2
    period = {"start_epoch": start, "end_epoch": start + 1 + pick % 4}
    arguments = {"storage_amount": encoded(SIZES[amount % 3]) + amount % 2, "payment": WAL, **period}
    world.chain.call("system::reserve_space_for_epochs", sender=world.user(pick), **arguments)


def on_storage(function: str, **more: int) -> Callable[[World, int, int], None]:
    def run(world: World, _pick: int, amount: int) -> None:
        user, storage = own(world, amount, "Storage")
        if user is not None:
            arguments = {"storage": storage} | {key: amount % limit for key, limit in more.items()}
            world.chain.call(f"storage_resource::{function}", sender=user, **arguments)

    return run


def fuse(world: World, pick: int, amount: int) -> None:
    (user, first), (owner, second) = (own(world, amount + more, "Storage") for more in (0, 1 + pick))
    if user is not None and user == owner and first != second:
        world.chain.call("storage_resource::fuse", sender=user, first=first, second=second)


def write(world: World, pick: int, amount: int) -> None:
    user, storage = own(world, amount, "Storage")
    if user is not None:
        arguments = {"storage": storage, "deletable": pick % 4 > 0, "write_payment": WAL, **blob(amount)}
        world.chain.call("system::register_blob", sender=user, **arguments)


def confirm(world: World, _pick: int, amount: int) -> None:
    user, owned = own(world, amount, "Blob")
    members = [member for member in world.nodes if member.node_id in world.chain.staking().committee]
    if user is not None and members:
        value = world.chain.value(owned)
        persistence = messages.Deletable(value.id) if value.deletable else messages.Permanent()
        blob_id, epoch = BlobId(value.blob_id.to_bytes(32, "little")), Epoch(world.chain.system().epoch)
        certificate = world.chain.certificate(messages.confirmation(blob_id, epoch, persistence), members)
        world.chain.call("system::certify_blob", sender=user, blob=owned, **certificate)


def on_blob(function: str, argument: str = "blob", **more: int) -> Callable[[World, int, int], None]:
    def run(world: World, _pick: int, amount: int) -> None:
        user, owned = own(world, amount, "Blob")
        if user is not None:
            arguments = {argument: owned} | {key: amount % limit for key, limit in more.items()}
            world.chain.call(function, sender=user, **arguments)

    return run


def lengthen(world: World, pick: int, amount: int) -> None:
    user, owned = own(world, amount, "Blob")
    storages = [] if user is None else world.chain.owned(user, "Storage")
    if storages:
        held = world.chain.value(owned).storage
        wanted = (held.end_epoch, held.storage_size)
        fitting = [item for item in storages if (item.start_epoch, item.storage_size) == wanted] or storages
        arguments = {"blob": owned, "extension": fitting[pick % len(fitting)]}
        world.chain.call("system::extend_blob_with_resource", sender=user, **arguments)


def mark(world: World, _pick: int, amount: int) -> None:
    user, owned = own(world, amount, "Blob")
    if user is not None:
        pair = {"key": str(amount % 3), "value": str(amount)}
        world.chain.call("blob::insert_or_update_metadata_pair", sender=user, self=owned, **pair)


def give_away(world: World, _pick: int, amount: int) -> None:
    user, owned = own(world, amount, "Blob")
    if user is not None and world.chain.value(owned).certified_epoch is not None:
        world.chain.call("shared_blob::new_funded", sender=user, blob=owned, funds=amount % WAL)


def tend(world: World, pick: int, amount: int) -> None:
    if (found := shared(world, amount, "SharedBlob")) is not None:
        call, user = world.chain.call, world.user(pick)
        call("shared_blob::fund", sender=user, self=found, added_funds=amount % WAL)
        call("shared_blob::extend", sender=user, self=found, extended_epochs=amount % 4)


# Pools


def make_pool(world: World, pick: int, amount: int) -> None:
    wanted = {"reserved_encoded_capacity_bytes": amount % 10**6, "epochs_ahead": pick % 5}
    world.chain.call("system::create_storage_pool", sender=world.user(pick), payment=WAL, **wanted)


def fill_pool(world: World, pick: int, amount: int) -> None:
    user, pool = own(world, amount, "StoragePool")
    if user is not None:
        given = blob(amount + pick)
        given["unencoded_size"] = given.pop("size")
        arguments = {"storage_pool": pool, "deletable": pick % 4 > 0, "write_payment": WAL, **given}
        world.chain.call("system::register_pooled_blob", sender=user, **arguments)


def on_pool(function: str, **more: int) -> Callable[[World, int, int], None]:
    def run(world: World, _pick: int, amount: int) -> None:
        user, pool = own(world, amount, "StoragePool")
        if user is not None:
            arguments = {key: amount % limit for key, limit in more.items()}
            world.chain.call(f"system::{function}", sender=user, storage_pool=pool, **arguments)

    return run


def empty_pool(world: World, pick: int, amount: int) -> None:
    user, pool = own(world, amount, "StoragePool")
    if user is not None:
        table = world.chain.field(pool.id).blobs.id
        inside = [world.chain.value(item.child_id).blob_id for item in world.chain.ledger.dynamic_fields(table)]
        blob_id = inside[amount % len(inside)] if inside else blob(amount)["blob_id"]
        function = ("delete_pooled_blob", "burn_expired_pooled_blob")[pick % 2]
        world.chain.call(f"system::{function}", sender=user, storage_pool=pool, blob_id=blob_id)


def enlarge_pool(world: World, pick: int, amount: int) -> None:
    (user, pool), (owner, storage) = own(world, amount, "StoragePool"), own(world, amount + pick, "Storage")
    if user is not None and user == owner:
        function = "system::increase_storage_pool_capacity_with_storage"
        world.chain.call(function, sender=user, storage_pool=pool, storage=storage)


def close_pool(world: World, _pick: int, amount: int) -> None:
    user, pool = own(world, amount, "StoragePool")
    if user is not None:
        world.chain.call("storage_pool::destroy", sender=user, self=pool)


# Donations


def donate(world: World, pick: int, amount: int) -> None:
    world.chain.call("system::add_subsidy", sender=world.user(pick), subsidy=amount % WAL, epochs_ahead=pick % 7)


def open_purse(world: World, pick: int, amount: int) -> None:
    rates = {"system_subsidy_rate": amount % 10**5, "base_subsidy": amount % 1_000, "subsidy_per_shard": pick}
    world.chain.call("walrus_subsidies::new", sender=world.user(pick), **rates)


def fill_purse(world: World, pick: int, amount: int) -> None:
    purse = shared(world, pick, "WalrusSubsidies")
    world.chain.call("walrus_subsidies::add_coin", sender=world.user(pick), self=purse, funds=amount % WAL)


def pay_out(world: World, pick: int, amount: int) -> None:
    purse = shared(world, amount, "WalrusSubsidies")
    world.chain.call("walrus_subsidies::process_subsidies", sender=world.user(pick), self=purse)


# What nodes attest


def attest(world: World, pick: int, amount: int) -> None:
    node = world.node(pick)
    end = {"ending_checkpoint_sequence_num": amount % 4, "epoch": world.chain.system().epoch}
    world.chain.call("system::certify_event_blob", sender=node.account, cap=node, **blob(amount % 2), **end)


def deny(world: World, pick: int, amount: int) -> None:
    node, epoch = world.node(pick), Epoch(world.chain.system().epoch)
    members = [member for member in world.nodes if member.node_id in world.chain.staking().committee]
    if members:
        numbers = {"sequence": amount % 50, "size": amount % 10**6, "root": bytes(32)}
        message = messages.deny_list_update(NodeId(node.node_id), **numbers, epoch=epoch)
        proof = dict(world.chain.certificate(message, members))
        proof["members_bitmap"] = proof.pop("signers_bitmap")
        world.chain.call("system::update_deny_list", sender=node.account, cap=node, **proof)


ACTIONS: dict[str, Callable[[Any, int, int], None]] = {
    "reserve": reserve,
    "cut epochs": on_storage("split_by_epoch", split_epoch=6),
    "cut bytes": on_storage("split_by_size", split_size=40_000),
    "fuse": fuse,
    "destroy": on_storage("destroy"),
    "write": write,
    "confirm": confirm,
    "extend": on_blob("system::extend_blob", extended_epochs=4, payment=2 * WAL),
    "lengthen": lengthen,
    "delete": on_blob("system::delete_blob"),
    "burn blob": on_blob("blob::burn", "self"),
    "mark": mark,
    "give away": give_away,
    "tend": tend,
    "make pool": make_pool,
    "fill pool": fill_pool,
    "prolong pool": on_pool("extend_storage_pool", extended_epochs=4, payment=2 * WAL),
    "grow pool": on_pool("increase_storage_pool_capacity", additional_encoded_capacity_bytes=10**6, payment=2 * WAL),
    "shrink pool": on_pool("decrease_storage_pool_capacity_by_size", size=10**5),
    "drain pool": on_pool("decrease_storage_pool_unused_capacity_by_percent", percent=102),
    "enlarge pool": enlarge_pool,
    "empty pool": empty_pool,
    "close pool": close_pool,
    "donate": donate,
    "open purse": open_purse,
    "fill purse": fill_purse,
    "pay out": pay_out,
    "attest": attest,
    "deny": deny,
}

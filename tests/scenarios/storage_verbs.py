"""The part of the stories' language that is about storage: who owns it, what lies in it, what nodes attest about it.

Every line is ``who verb label key=value...``; labels name storage, blobs, pools and purses. Sizes may end in ``MiB``,
signers are listed as ``by=n0,n1``.

    alice reserves box size=1MiB from=1 to=4       alice destroys box
    alice splits box at=3 into=late                keeping=100 instead of at= splits by size
    alice joins box with=late                      periods or amounts
    alice writes cat size=1000 in=box              registers a blob; deletable=true
    alice deletes cat into=box                     alice burns cat
    alice extends cat epochs=2                     with=box instead of epochs=; a shared blob pays from its purse
    alice marks cat color=black                    sets attributes
    alice shares cat purse=7                       bob funds cat amount=10
    alice invalidates cat by=n0,n1
    alice pools many size=2MiB epochs=3            from=box instead of both; alice closes many into=box
    alice puts cat size=1000 in=many               alice removes cat, alice clears cat (after the end)
    alice prolongs many epochs=2                   alice grows many by=1MiB or with=box
    alice shrinks many by=100 into=rest            percent=50 instead of by=
    bob donates 100 epochs=3                       to the rewards
    alice opens aid rate=5000 base=10 per_shard=1  a purse of subsidies; alice fills aid amount=9, bob pays aid
    n0 attests log size=1000 checkpoint=10         an event blob
    n0 announces list sequence=5                   n0 denies list size=9 sequence=5 by=n0,n1,n2
    n0 forgets cat by=n0,n1                        a deny-listed blob
    n0 agrees 9 from=2 by=n0,n1,n2                 on a protocol version
"""

from collections.abc import Callable
from typing import Any, Protocol

from walrus_codec import blob_id as blob_ids
from walrus_codec.types import BlobId, Epoch, NodeId, ObjectId
from walrus_sui import messages
from walrus_sui.devnet.testing import Chain, Node

FROST = 10**9
MIB = 1024**2


class Tells(Protocol):
    """What the verbs need of a story."""

    chain: Chain
    nodes: dict[str, Node]
    blobs: dict[str, tuple[ObjectId, BlobId]]
    things: dict[str, ObjectId]
    pooled: dict[str, str]
    names: dict[Any, str]


Options = dict[str, str]
Verb = Callable[[Tells, str, str, Options], None]


def size(text: str) -> int:
    return int(text.removesuffix("MiB")) * MIB if text.endswith("MiB") else int(text)


def call(story: Tells, who: str, function: str, **arguments: Any) -> Any:
    return story.chain.call(function, sender=story.chain.account(who), **arguments)


def keep(story: Tells, label: str, made: Any) -> None:
    story.things[label] = made.id
    story.names[made.id] = label


def certificate(story: Tells, message: bytes, by: str) -> dict[str, Any]:
    made = story.chain.certificate(message, [story.nodes[name] for name in by.split(",")])
    return {**made, "members_bitmap": made["signers_bitmap"]}


def certified(story: Tells, who: str, function: str, message: bytes, by: str, **arguments: Any) -> Any:
    proof = certificate(story, message, by)
    del proof["signers_bitmap"]
    return call(story, who, function, **proof, **arguments)


def epoch(story: Tells) -> Epoch:
    return Epoch(story.chain.system().epoch)


def described(story: Tells, label: str, given: Options) -> dict[str, Any]:
    """Arguments that describe a blob with the label as its root."""
    encoding, root = story.chain.ledger.config.encoding_types[0], label.encode().ljust(32, b"\0")
    blob_id = blob_ids.compute(root, encoding, size(given["size"]))
    number = int.from_bytes(blob_id, "little")
    story.names[number] = label
    story.blobs.setdefault(label, (ObjectId(""), blob_id))
    return {"blob_id": number, "root_hash": int.from_bytes(root, "little"), "encoding_type": int(encoding)}


# Storage


def reserves(story: Tells, who: str, label: str, given: Options) -> None:
    period = {"start_epoch": int(given["from"]), "end_epoch": int(given["to"])}
    arguments = {"storage_amount": size(given["size"]), "payment": FROST, **period}
    keep(story, label, call(story, who, "system::reserve_space_for_epochs", **arguments))


def splits(story: Tells, who: str, label: str, given: Options) -> None:
    function, argument = ("split_by_epoch", "split_epoch") if "at" in given else ("split_by_size", "split_size")
    arguments = {"storage": story.things[label], argument: size(given.get("at") or given["keeping"])}
    keep(story, given["into"], call(story, who, f"storage_resource::{function}", **arguments))


def joins(story: Tells, who: str, label: str, given: Options) -> None:
    call(story, who, "storage_resource::fuse", first=story.things[label], second=story.things[given["with"]])


def destroys(story: Tells, who: str, label: str, _given: Options) -> None:
    call(story, who, "storage_resource::destroy", storage=story.things[label])


# Blobs


def writes(story: Tells, who: str, label: str, given: Options) -> None:
    blob = described(story, label, given) | {"size": size(given["size"]), "deletable": given.get("deletable") == "true"}
    made = call(story, who, "system::register_blob", storage=story.things[given["in"]], write_payment=FROST, **blob)
    story.blobs[label] = (made.id, story.blobs[label][1])
    story.names[made.id] = label


def deletes(story: Tells, who: str, label: str, given: Options) -> None:
    keep(story, given["into"], call(story, who, "system::delete_blob", blob=story.blobs[label][0]))


def burns(story: Tells, who: str, label: str, _given: Options) -> None:
    call(story, who, "blob::burn", self=story.blobs[label][0])


def extends(story: Tells, who: str, label: str, given: Options) -> None:
    blob = story.blobs[label][0]
    if "with" in given:
        extension = story.things[given["with"]]
        call(story, who, "system::extend_blob_with_resource", blob=blob, extension=extension)
    elif label in story.things:
        call(story, who, "shared_blob::extend", self=story.things[label], extended_epochs=int(given["epochs"]))
    else:
        call(story, who, "system::extend_blob", blob=blob, extended_epochs=int(given["epochs"]), payment=FROST)


def marks(story: Tells, who: str, label: str, given: Options) -> None:
    for key, value in given.items():
        call(story, who, "blob::insert_or_update_metadata_pair", self=story.blobs[label][0], key=key, value=value)


def shares(story: Tells, who: str, label: str, given: Options) -> None:
    call(story, who, "shared_blob::new_funded", blob=story.blobs[label][0], funds=int(given["purse"]))
    story.things[label] = newest(story, "::SharedBlob")


def newest(story: Tells, kind: str) -> ObjectId:
    made = [obj for obj in story.chain.ledger.pending()[-1].output_objects if obj.type.endswith(kind)]
    return made[0].object_id


def funds(story: Tells, who: str, label: str, given: Options) -> None:
    call(story, who, "shared_blob::fund", self=story.things[label], added_funds=int(given["amount"]))


def invalidates(story: Tells, who: str, label: str, given: Options) -> None:
    message = messages.invalid_blob(story.blobs[label][1], epoch(story))
    certified(story, who, "system::invalidate_blob_id", message, given["by"])


# Pools


def pools(story: Tells, who: str, label: str, given: Options) -> None:
    if "from" in given:
        made = call(story, who, "system::create_storage_pool_with_storage", storage=story.things[given["from"]])
    else:
        wanted = {"reserved_encoded_capacity_bytes": size(given["size"]), "epochs_ahead": int(given["epochs"])}
        made = call(story, who, "system::create_storage_pool", payment=FROST, **wanted)
    keep(story, label, made)


def puts(story: Tells, who: str, label: str, given: Options) -> None:
    pool, blob = story.things[given["in"]], described(story, label, given)
    blob |= {"unencoded_size": size(given["size"]), "deletable": given.get("deletable") == "true"}
    call(story, who, "system::register_pooled_blob", storage_pool=pool, write_payment=FROST, **blob)
    made = newest(story, "::PooledBlob")
    story.blobs[label], story.pooled[label] = (made, story.blobs[label][1]), given["in"]
    story.names[made] = label


def in_pool(story: Tells, label: str) -> dict[str, Any]:
    blob_id = int.from_bytes(story.blobs[label][1], "little")
    return {"storage_pool": story.things[story.pooled[label]], "blob_id": blob_id}


def removes(story: Tells, who: str, label: str, _given: Options) -> None:
    call(story, who, "system::delete_pooled_blob", **in_pool(story, label))


def clears(story: Tells, who: str, label: str, _given: Options) -> None:
    call(story, who, "system::burn_expired_pooled_blob", **in_pool(story, label))


def prolongs(story: Tells, who: str, label: str, given: Options) -> None:
    arguments = {"extended_epochs": int(given["epochs"]), "payment": FROST}
    call(story, who, "system::extend_storage_pool", storage_pool=story.things[label], **arguments)


def grows(story: Tells, who: str, label: str, given: Options) -> None:
    function, arguments = "increase_storage_pool_capacity", {"storage_pool": story.things[label]}
    if "with" in given:
        call(story, who, f"system::{function}_with_storage", storage=story.things[given["with"]], **arguments)
    else:
        more = {"additional_encoded_capacity_bytes": size(given["by"]), "payment": FROST}
        call(story, who, f"system::{function}", **arguments, **more)


def shrinks(story: Tells, who: str, label: str, given: Options) -> None:
    pool = story.things[label]
    if "percent" in given:
        function = "system::decrease_storage_pool_unused_capacity_by_percent"
        made = call(story, who, function, storage_pool=pool, percent=int(given["percent"]))
    else:
        function = "system::decrease_storage_pool_capacity_by_size"
        made = call(story, who, function, storage_pool=pool, size=size(given["by"]))
    keep(story, given["into"], made)


def closes(story: Tells, who: str, label: str, given: Options) -> None:
    keep(story, given["into"], call(story, who, "storage_pool::destroy", self=story.things[label]))


# Donations and subsidies


def donates(story: Tells, who: str, label: str, given: Options) -> None:
    call(story, who, "system::add_subsidy", subsidy=int(label), epochs_ahead=int(given["epochs"]))


def opens(story: Tells, who: str, label: str, given: Options) -> None:
    rates = {
        "system_subsidy_rate": given["rate"],
        "base_subsidy": given["base"],
        "subsidy_per_shard": given["per_shard"],
    }
    call(story, who, "walrus_subsidies::new", **{key: int(value) for key, value in rates.items()})
    story.things[label] = newest(story, "::WalrusSubsidies")


def fills(story: Tells, who: str, label: str, given: Options) -> None:
    call(story, who, "walrus_subsidies::add_coin", self=story.things[label], funds=int(given["amount"]))


def pays(story: Tells, who: str, label: str, _given: Options) -> None:
    call(story, who, "walrus_subsidies::process_subsidies", self=story.things[label])


# What nodes attest


def attests(story: Tells, who: str, label: str, given: Options) -> None:
    blob = described(story, label, given) | {"size": size(given["size"])}
    end = {"ending_checkpoint_sequence_num": int(given["checkpoint"]), "epoch": epoch(story)}
    call(story, who, "system::certify_event_blob", cap=story.nodes[who].cap_id, **blob, **end)
    for event in story.chain.ledger.pending()[-1].events:  # its object is gone already, and named in events only
        story.names[story.chain.type_of(event.type).from_bcs(event.contents).object_id] = label


def root_of(story: Tells, label: str) -> bytes:
    root = label.encode().ljust(32, b"\0")
    story.names[int.from_bytes(root, "little")] = label
    return root


def announces(story: Tells, who: str, label: str, given: Options) -> None:
    root, sequence = int.from_bytes(root_of(story, label), "little"), int(given["sequence"])
    arguments = {"deny_list_root": root, "deny_list_sequence": sequence}
    story.names[story.nodes[who].node_id] = who
    call(story, who, "system::register_deny_list_update", cap=story.nodes[who].cap_id, **arguments)


def denies(story: Tells, who: str, label: str, given: Options) -> None:
    node = story.nodes[given.get("for", who)]
    story.names[story.nodes[who].node_id] = who
    numbers = {"sequence": int(given["sequence"]), "size": size(given["size"]), "root": root_of(story, label)}
    message = messages.deny_list_update(NodeId(node.node_id), **numbers, epoch=epoch(story))
    certified(story, who, "system::update_deny_list", message, given["by"], cap=story.nodes[who].cap_id)


def forgets(story: Tells, who: str, label: str, given: Options) -> None:
    message = messages.deny_listed_blob_deleted(story.blobs[label][1], epoch(story))
    certified(story, who, "system::delete_deny_listed_blob", message, given["by"])


def agrees(story: Tells, who: str, label: str, given: Options) -> None:
    message = messages.protocol_version(int(label), start=Epoch(int(given["from"])), epoch=epoch(story))
    certified(story, who, "system::update_protocol_version", message, given["by"], cap=story.nodes[who].cap_id)


VERBS: dict[str, Verb] = {
    verb.__name__: verb
    for verb in (
        *(reserves, splits, joins, destroys),
        *(writes, deletes, burns, extends, marks, shares, funds, invalidates),
        *(pools, puts, removes, clears, prolongs, grows, shrinks, closes),
        *(donates, opens, fills, pays),
        *(attests, announces, denies, forgets, agrees),
    )
}


# States


def storage(story: Tells, label: str) -> str:
    value = story.chain.value(story.things[label])
    return f"{value.storage_size}:{value.start_epoch}-{value.end_epoch}"


def end(story: Tells, label: str) -> int:
    if label in story.things:
        found: int = story.chain.value(story.things[label]).blob.storage.end_epoch
    else:
        found = story.chain.value(story.blobs[label][0]).storage.end_epoch
    return found


def used(story: Tells, offset: str) -> int:
    return story.chain.system().future_accounting.ring_lookup(int(offset)).used_capacity


def purse(story: Tells, label: str) -> int:
    value = story.chain.value(story.things[label])
    found: int = value.funds.value if hasattr(value, "funds") else story.chain.field(value.id).subsidy_pool.value
    return found


def attributes(story: Tells, label: str) -> str:
    return ",".join(f"{key}:{value}" for key, value in story.chain.field(story.blobs[label][0]).metadata.items())


def filled(story: Tells, label: str) -> str:
    state = story.chain.field(story.things[label])
    return f"{state.blob_count}:{state.used_encoded_bytes}/{state.storage.storage_size}"


def tally(story: Tells, label: str) -> str:
    """Weights behind the checkpoints at which an event blob may end, and ``certified`` for the latest."""
    state = story.chain.system().event_blob_certification_state
    latest, number = state.latest_certified_blob, int.from_bytes(story.blobs[label][1], "little")
    if latest is not None and latest.blob_id == number:
        return f"certified@{latest.ending_checkpoint_sequence_number}"
    weights = state.aggregate_weight_per_blob.items()
    return ",".join(
        f"{weight}@{blob.ending_checkpoint_sequence_number}" for blob, weight in weights if blob.blob_id == number
    )


STATES: dict[str, Callable[[Tells, str], Any]] = {
    state.__name__: state for state in (storage, end, used, purse, attributes, filled, tally)
}

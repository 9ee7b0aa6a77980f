"""Every call that the client makes passes what the Move function takes: as many arguments, of the right kind."""

import re
from pathlib import Path

import pytest

from walrus_codec import bcs
from walrus_codec.types import BlobId, Epoch, NodeId, ObjectId
from walrus_sui.abi import (
    auth,
    blob,
    coin,
    metadata,
    node_metadata,
    shared_blob,
    slashing,
    staked_wal,
    staking,
    storage_pool,
    storage_resource,
    system,
    upgrade,
    wal_exchange,
    walrus_subsidies,
)
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.move_types import CLOCK_ID
from walrus_sui.abi.ptb import MoveCall, Owned, Program, Pure, Result, Shared
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core import packages, tags
from walrus_sui.devnet.move.core.module import Function
from walrus_sui.types import Authorized, NewBlob, NodeMetadata, SignedMessage, VotingParams


def oid(number: int) -> ObjectId:
    return ObjectId("0x" + f"{number:064x}")


SHARED = {
    "System": oid(1),
    "Staking": oid(2),
    "ProtectedTreasury": oid(3),
    "SlashingManager": oid(4),
    "UpgradeManager": oid(5),
    "Clock": CLOCK_ID,
    "Exchange": oid(7),
    "WalrusSubsidies": oid(8),
    "SharedBlob": oid(9),
}
CONTRACT = Contract(
    package_id=oid(0xAA),
    origin_id=oid(0xA0),
    system_id=SHARED["System"],
    staking_id=SHARED["Staking"],
    treasury_id=SHARED["ProtectedTreasury"],
    wal_type="0x7::wal::WAL",
    slashing_id=SHARED["SlashingManager"],
    upgrade_id=SHARED["UpgradeManager"],
)
OWN, NODE, BLOB = Owned(oid(100)), NodeId(oid(101)), BlobId(bytes(range(32)))
NEW = NewBlob(BLOB, bytes(32), 1, 2, 1, deletable=True)
SIGNED = SignedMessage(b"s" * 96, b"\1", b"m" * 40)
VOTES = VotingParams(1, 2, 3)
READERS = {
    "u8": bcs.Reader.u8,
    "u16": bcs.Reader.u16,
    "u32": bcs.Reader.u32,
    "u64": bcs.Reader.u64,
    "u256": bcs.Reader.u256,
    "bool": bcs.Reader.boolean,
    "String": bcs.Reader.string,
    "address": lambda reader: reader.fixed(32),
    "ID": lambda reader: reader.fixed(32),
}


def signatures() -> dict[str, tuple[int, list[str]]]:
    found = {}
    for line in (Path(__file__).parent / "move_signatures.txt").read_text().splitlines():
        if match := re.fullmatch(r"(\w+::\w+)(?:<([^()]*)>)?\((.*)\)", line):
            name, types, parameters = match.groups()
            found[name] = (len(types.split(",")) if types else 0, parameters.split(", ") if parameters else [])
    return found


SIGNATURES = signatures()


def all_calls() -> list[MoveCall]:
    program, contract = Program(), CONTRACT
    who = auth.authenticate_sender(program, contract)
    auth.authenticate_with_object(program, contract, OWN, contract.type_name("storage_node", "StorageNodeCap"))
    receiver = auth.authorized(program, contract, Authorized(NODE))
    auth.authorized(program, contract, Authorized(NODE, is_object=True))
    texts = NodeMetadata("a", "b", "c", (("k", "v"),))
    staking.register_candidate(
        program,
        contract,
        name="n",
        network_address="h:1",
        metadata=texts,
        bls_public_key=b"k" * 48,
        network_public_key=b"n" * 33,
        proof_of_possession=b"p" * 96,
        commission_rate=1,
        votes=VOTES,
    )
    staking.set_name(program, contract, OWN, "n")
    staking.set_network_address(program, contract, OWN, "h:1")
    staking.set_network_public_key(program, contract, OWN, b"n" * 33)
    staking.set_node_metadata(program, contract, OWN, texts)
    staking.set_next_public_key(program, contract, OWN, key=b"k" * 48, proof=b"p" * 96)
    staking.set_next_commission(program, contract, OWN, 1)
    staking.set_votes(program, contract, OWN, old=VotingParams(0, 0, 0), new=VOTES)
    staking.update_prices(program, contract)
    coin_given = program.split(OWN, [1])[0]
    staking.stake_with_pool(program, contract, coin_given, NODE)
    staking.request_withdraw_stake(program, contract, OWN)
    staking.withdraw_stake(program, contract, OWN)
    staking.try_join_active_set(program, contract, OWN)
    staking.collect_commission(program, contract, NODE, who)
    staking.set_commission_receiver(program, contract, NODE, who, receiver)
    staking.set_governance_authorized(program, contract, NODE, who, receiver)
    balances = coin.balances(program, contract.wal_type, [coin_given])
    staking.add_commission_to_pools(program, contract, [NODE], balances)
    staking.calculate_rewards(program, contract, NODE, principal=1, activation=Epoch(1), withdraw=Epoch(2))
    staking.can_withdraw_staked_wal_early(program, contract, OWN)
    staking.compute_next_committee(program, contract)
    staking.voting_end(program, contract)
    staking.initiate_epoch_change(program, contract)
    staking.epoch_sync_done(program, contract, OWN, Epoch(1))
    staked_wal.join(program, contract, OWN, OWN)
    staked_wal.split(program, contract, OWN, 1)
    storage = system.reserve_space(program, contract, encoded_size=1, epochs_ahead=1, payment=OWN)
    system.reserve_space_for_epochs(program, contract, encoded_size=1, start=Epoch(1), end=Epoch(2), payment=OWN)
    system.register_blob(
        program,
        contract,
        storage=storage,
        blob_id=BLOB,
        root_hash=bytes(32),
        size=1,
        encoding_type=1,
        deletable=True,
        payment=OWN,
    )
    system.certify_blob(program, contract, OWN, SIGNED)
    system.invalidate_blob_id(program, contract, SIGNED)
    system.delete_blob(program, contract, OWN)
    system.extend_blob(program, contract, OWN, 1, payment=OWN)
    system.extend_blob_with_resource(program, contract, OWN, OWN)
    system.certify_event_blob(program, contract, OWN, NEW, ending_checkpoint=1, epoch=Epoch(1))
    system.add_subsidy(program, contract, coin_given, 1)
    system.add_per_epoch_subsidies(program, contract, balances)
    system.update_protocol_version(program, contract, OWN, SIGNED)
    system.register_deny_list_update(program, contract, OWN, root=bytes(32), sequence=1)
    system.update_deny_list(program, contract, OWN, SIGNED)
    system.delete_deny_listed_blob(program, contract, SIGNED)
    blob.burn(program, contract, OWN)
    made = metadata.new(program, contract, {"k": "v"})
    blob.add_metadata(program, contract, OWN, made)
    blob.add_or_replace_metadata(program, contract, OWN, made)
    blob.take_metadata(program, contract, OWN)
    blob.insert_or_update_metadata_pair(program, contract, OWN, "k", "v")
    blob.remove_metadata_pair_if_exists(program, contract, OWN, "k")
    shared_blob.new(program, contract, OWN)
    shared_blob.new_funded(program, contract, OWN, coin_given)
    shared_blob.fund(program, contract, SHARED["SharedBlob"], coin_given)
    shared_blob.extend(program, contract, SHARED["SharedBlob"], 1)
    storage_resource.split_by_epoch(program, contract, OWN, Epoch(2))
    storage_resource.split_by_size(program, contract, OWN, 1)
    storage_resource.fuse(program, contract, OWN, OWN)
    storage_resource.fuse_amount(program, contract, OWN, OWN)
    storage_resource.fuse_periods(program, contract, OWN, OWN)
    storage_resource.destroy(program, contract, OWN)
    storage_pool.create(program, contract, capacity=1, epochs_ahead=1, payment=OWN)
    storage_pool.create_with_storage(program, contract, OWN)
    storage_pool.register(program, contract, OWN, NEW, payment=OWN)
    storage_pool.certify(program, contract, OWN, BLOB, SIGNED)
    storage_pool.delete(program, contract, OWN, BLOB)
    storage_pool.burn_expired(program, contract, OWN, BLOB)
    storage_pool.extend(program, contract, OWN, 1, payment=OWN)
    storage_pool.increase(program, contract, OWN, 1, payment=OWN)
    storage_pool.increase_with_storage(program, contract, OWN, OWN)
    storage_pool.decrease_by_size(program, contract, OWN, 1)
    storage_pool.decrease_by_percent(program, contract, OWN, 1)
    storage_pool.destroy(program, contract, OWN)
    slashing.vote_for_slashing(program, contract, who, voter=NODE, candidate=NODE)
    slashing.execute_slashing(program, contract, NODE)
    slashing.cleanup_slashing_proposals(program, contract, [NODE, NODE])
    upgrade.vote_for_upgrade(program, contract, who, node_id=NODE, digest=bytes(32))
    ticket = upgrade.authorize_upgrade(program, contract, bytes(32))
    upgrade.authorize_emergency_upgrade(program, contract, oid(100), bytes(32))
    upgrade.commit_upgrade(program, contract, ticket)
    upgrade.cleanup_upgrade_proposals(program, contract, [bytes(32)])
    upgrade.migrate(program, contract)
    exchange = SHARED["Exchange"]
    wal_exchange.exchange_all_for_wal(program, package_id=oid(0xBB), exchange=exchange, coin=coin_given)
    wal_exchange.exchange_all_for_sui(program, package_id=oid(0xBB), exchange=exchange, coin=coin_given)
    walrus_subsidies.add_coin(program, oid(0xCC), SHARED["WalrusSubsidies"], coin_given)
    walrus_subsidies.process_subsidies(program, contract, oid(0xCC), SHARED["WalrusSubsidies"])
    node_metadata.new(program, contract, texts)
    return [command for command in program.commands if isinstance(command, MoveCall)]


CALLS = all_calls()


def fits(argument: object, parameter: str) -> bool:
    bare = parameter.removeprefix("&mut ").removeprefix("&")
    if isinstance(argument, Shared):
        if bare == "SharedBlob" or SHARED.get(bare) == argument.object_id:
            return argument.mutable == parameter.startswith("&mut ")
        return False
    if isinstance(argument, Pure):
        reader = bcs.Reader(argument.data)
        read(reader, bare)
        reader.finish()
        return True
    return isinstance(argument, Owned | Result) and bare not in READERS and bare not in SHARED


def read(reader: bcs.Reader, name: str) -> None:
    if name.startswith("vector<"):
        reader.vector(lambda inner: read(inner, name[len("vector<") : -1]))
    else:
        READERS[name](reader)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.module}::{call.function}")
def test_a_call_passes_what_the_function_takes(call: MoveCall) -> None:
    n_types, parameters = SIGNATURES[f"{call.module}::{call.function}"]
    assert len(call.type_arguments) == n_types
    assert len(call.arguments) == len(parameters)
    for argument, parameter in zip(call.arguments, parameters, strict=True):
        assert fits(argument, parameter), (parameter, argument)


def test_every_listed_function_has_its_typed_call() -> None:
    assert {f"{call.module}::{call.function}" for call in CALLS} == set(SIGNATURES)


def spelled(tag: tags.TypeTag) -> str:
    if tag.is_vector:
        return f"vector<{spelled(tag.params[0])}>"
    return "T" if tag.name == "$0" else tag.name


def of_devnet(name: str) -> Function | None:
    homes = (packages.WALRUS, packages.WAL_EXCHANGE, packages.SUI, "walrus_subsidies")
    return next(filter(None, (registry.function(home, *name.split("::")) for home in homes)), None)


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_devnet_declares_the_same_signature(name: str) -> None:
    native = of_devnet(name)
    assert native is not None
    n_types, parameters = SIGNATURES[name]
    declared = [
        f"{parameter.reference} {spelled(parameter.tag)}".removeprefix(" ").replace("& ", "&")
        for parameter in native.signature.arguments
    ]
    if n_types < 2:
        assert declared == parameters
    assert len(declared) == len(parameters)


def test_calls_go_to_the_newest_package() -> None:
    of_walrus = [call for call in CALLS if call.module not in {"coin", "vec_map", "wal_exchange", "walrus_subsidies"}]
    assert {call.package for call in of_walrus} == {CONTRACT.package_id}

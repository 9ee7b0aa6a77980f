"""Reading over gRPC: what is there, in which form, and what is refused how."""

import ssl

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from walrus_proto.sui.rpc.v2 import (
    ledger_service_pb2,
    ledger_service_pb2_grpc,
    move_package_service_pb2,
    object_pb2,
    state_service_pb2,
)

CLOCK = "0x" + "6".rjust(64, "0")
SUI = "0x" + "2".rjust(64, "0") + "::sui::SUI"
COIN = "0x" + "2".rjust(64, "0") + "::coin::Coin"


async def refused(call):
    """Code, text and violated field of a refused call."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    details = dict(caught.value.trailing_metadata() or ())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(details)
    bad = error_details_pb2.BadRequest()
    fields = [item.field for detail in status.details if detail.Unpack(bad) for item in bad.field_violations]
    assert status.code == caught.value.code().value[0]
    return caught.value.code().name, caught.value.details(), fields[0] if fields else None


async def test_service_info_tells_chain_and_head(devnet, client):
    info = await client.info()
    assert info.chain_id == devnet.endpoints["chain_id"] == devnet.network["chain_id"]
    genesis = await client.checkpoint(0)
    assert genesis.digest == info.chain_id
    assert info.epoch == 0
    assert info.lowest_available_checkpoint == 0
    assert info.server.startswith("walrus-devnet/")


async def test_objects_have_documented_default_fields_and_canonical_ids(client):
    answer = await client.ledger.GetObject(ledger_service_pb2.GetObjectRequest(object_id="0x6"))
    assert {field.name for field, _ in answer.object.ListFields()} == {"object_id", "version", "digest"}
    assert answer.object.object_id == CLOCK
    clock = await client.object("0x06")
    assert clock.object_type == "0x" + "2".rjust(64, "0") + "::clock::Clock"
    assert clock.contents.name == clock.object_type
    assert clock.contents.value[:32] == bytes.fromhex(CLOCK[2:])
    assert clock.owner.kind == object_pb2.Owner.SHARED
    assert clock.owner.version >= 1
    assert clock.bcs.name == "Object"
    assert clock.json.struct_value.fields["id"].string_value == CLOCK
    assert clock.json.struct_value.fields["timestamp_ms"].string_value.isdigit()


async def test_past_versions_are_kept(client):
    await client.height(3)
    now = await client.object("0x6", "version", "contents")
    then = await client.object("0x6", "version", "contents", version=now.version - 1)
    assert then.version == now.version - 1
    assert then.contents.value[32:] < now.contents.value[32:] or then.contents.value != now.contents.value


async def test_what_is_not_there_is_not_found(client):
    unknown = "0x" + "99" * 32
    assert await refused(client.object("0x99")) == ("NOT_FOUND", f"Object 0x{'99'.rjust(64, '0')} not found", None)
    assert await refused(client.object("0x6", version=10**9)) == (
        "NOT_FOUND",
        f"Object {CLOCK} with version {10**9} not found",
        None,
    )
    assert (await refused(client.checkpoint(2**64 - 1)))[0] == "NOT_FOUND"
    assert (await refused(client.transaction("1" * 32)))[:2] == ("NOT_FOUND", f"Transaction {'1' * 32} not found")
    assert (await refused(client.transaction("0OIl")))[2] == "digest"
    epoch = ledger_service_pb2.GetEpochRequest(epoch=7)
    assert await refused(client.ledger.GetEpoch(epoch)) == ("NOT_FOUND", "Epoch 7 not found", None)
    batch = ledger_service_pb2.BatchGetObjectsRequest()
    for object_id in (unknown, "0x6"):
        batch.requests.add(object_id=object_id)
    missing, found = (await client.ledger.BatchGetObjects(batch)).objects
    assert (missing.error.code, missing.error.message) == (5, f"Object {unknown} not found")
    assert found.object.object_id == CLOCK
    many = ledger_service_pb2.BatchGetTransactionsRequest(digests=["1" * 32, "0OIl"])
    unknown_digest, malformed = (await client.ledger.BatchGetTransactions(many)).transactions
    assert (unknown_digest.error.code, malformed.error.code) == (5, 3)


@pytest.mark.parametrize(
    ("object_id", "field"), [("", "object_id"), ("6", "object_id"), ("0x", "object_id"), ("0x" + "1" * 65, "object_id")]
)
async def test_malformed_ids_are_invalid(client, object_id, field):
    assert (await refused(client.object(object_id)))[::2] == ("INVALID_ARGUMENT", field)


@pytest.mark.parametrize("path", ["nothing", "owner.nothing", "version.x", "owner.*"])
async def test_unknown_mask_paths_are_refused_by_every_call(client, path):
    refusal = ("INVALID_ARGUMENT", f"invalid read_mask path: {path}", "read_mask")
    assert await refused(client.object("0x6", path)) == refusal
    assert await refused(client.checkpoint(0, path)) == refusal
    assert await refused(client.transaction("1" * 32, path)) == refusal
    assert await refused(client.gas_coins_page("0x1", read_mask=[path])) == refusal


async def test_checkpoints_chain_and_hold_the_prologue_that_moves_the_clock(client):
    head = await client.height(3)
    previous = await client.checkpoint(head - 1)
    newest = await client.checkpoint(head)
    assert newest.summary.previous_digest == previous.digest
    assert newest.summary.timestamp.ToMilliseconds() >= previous.summary.timestamp.ToMilliseconds()
    assert newest.contents.digest == newest.summary.content_digest
    assert [item.transaction for item in newest.contents.transactions] == [item.digest for item in newest.transactions]
    assert newest.transactions[-1].transaction.kind.HasField("consensus_commit_prologue")
    assert newest.transactions[-1].effects.status.success
    by_digest = ledger_service_pb2.GetCheckpointRequest(digest=newest.digest)
    assert (await client.ledger.GetCheckpoint(by_digest)).checkpoint.sequence_number == head
    default = (await client.ledger.GetCheckpoint(ledger_service_pb2.GetCheckpointRequest(sequence_number=1))).checkpoint
    assert {field.name for field, _ in default.ListFields()} == {"sequence_number", "digest"}


async def test_history_is_answered_from_disk_as_from_memory(client):
    """Genesis has long left the ledger's memory or soon will; its objects are versions on disk."""
    genesis = await client.checkpoint(0, "transactions", "objects")
    (transaction,) = genesis.transactions
    assert transaction.transaction.kind.HasField("genesis")
    assert len(genesis.objects.objects) > 10
    again = await client.transaction(transaction.digest)
    assert again.checkpoint == 0
    assert again.transaction_index == 0
    types = {change.object_type for change in again.effects.changed_objects}
    assert "package" in types
    assert all(types)


async def test_the_epoch_has_what_clients_read(client):
    wanted = ledger_service_pb2.GetEpochRequest()
    wanted.read_mask.paths.extend(["epoch", "reference_gas_price", "protocol_config", "start", "system_state.epoch"])
    epoch = (await client.ledger.GetEpoch(wanted)).epoch
    assert epoch.reference_gas_price > 0
    assert epoch.protocol_config.protocol_version > 0
    assert int(epoch.protocol_config.attributes["max_tx_size_bytes"]) == 128 * 1024
    assert epoch.start.ToMilliseconds() > 0
    default = (await client.ledger.GetEpoch(ledger_service_pb2.GetEpochRequest())).epoch
    assert [field.name for field, _ in default.ListFields()] == ["epoch"]


async def test_owned_objects_come_in_pages_richest_coin_first(devnet, client, key):
    for _ in range(3):
        devnet.fund(key.address)
    coins = await client.gas_coins(key.address)
    assert len(coins) == 4
    seen, token = [], None
    while True:
        page = await client.gas_coins_page(key.address, page_size=3, page_token=token)
        seen += [item.object_id for item in page.objects]
        if not page.HasField("next_page_token"):
            break
        token = page.next_page_token
    assert seen == [coin.object_id for coin in coins]
    assert sorted(coins, key=lambda coin: (-coin.balance, coin.object_id)) == coins
    default = await client.state.ListOwnedObjects(state_service_pb2.ListOwnedObjectsRequest(owner=key.address))
    assert {field.name for field, _ in default.objects[0].ListFields()} == {"object_id", "version", "object_type"}
    assert {item.object_type for item in default.objects} == {f"{COIN}<{SUI}>"}
    for object_type, expected in (("0x2::coin::Coin<0x2::sui::SUI>", 4), ("0x2::coin::Coin", 4), ("0x2::a::B", 0)):
        page = await client.gas_coins_page(key.address, object_type=object_type)
        assert len(page.objects) == expected
    assert (await refused(client.gas_coins_page(key.address, page_token=b"x" * 20)))[1:] == (
        "invalid page_token",
        "page_token",
    )
    foreign = (await client.gas_coins_page(key.address, page_size=1)).next_page_token
    assert (await refused(client.gas_coins_page("0x1", page_token=foreign)))[1] == "invalid page_token"


async def test_balances(devnet, client, key):
    balance = (await client.state.GetBalance(balance_of(key.address, "0x2::sui::SUI"))).balance
    (coin,) = await client.gas_coins(key.address)
    assert (balance.coin_type, balance.balance, balance.address_balance) == (SUI, coin.balance, 0)
    assert balance.coin_balance == coin.balance
    wal = (await client.state.GetBalance(balance_of(key.address, devnet.network["wal_type"]))).balance
    assert (wal.coin_type, wal.balance) == (devnet.network["wal_type"], 0)
    listed = (await client.state.ListBalances(state_service_pb2.ListBalancesRequest(owner=key.address))).balances
    assert [(item.coin_type, item.balance) for item in listed] == [(SUI, coin.balance)]
    assert (await refused(client.state.GetBalance(balance_of(key.address, "nonsense"))))[2] == "coin_type"


def balance_of(owner, coin_type):
    return state_service_pb2.GetBalanceRequest(owner=owner, coin_type=coin_type)


async def test_dynamic_fields_hold_the_walrus_state(devnet, client):
    staking = devnet.network["staking_object"]
    request = state_service_pb2.ListDynamicFieldsRequest(parent=staking)
    request.read_mask.paths.append("*")
    (field,) = (await client.state.ListDynamicFields(request)).dynamic_fields
    assert field.kind == state_service_pb2.DynamicField.FIELD
    assert (field.parent, field.name.name) == (staking, "u64")
    version = int.from_bytes(field.name.value, "little")
    root = await client.object(staking, "contents")
    assert int.from_bytes(root.contents.value[32:40], "little") == version
    assert field.value_type.endswith("::staking_inner::StakingInnerV1")
    inner = await client.object(field.field_id, "contents", "owner", "object_type")
    assert inner.owner == object_pb2.Owner(kind=object_pb2.Owner.OBJECT, address=staking)
    assert inner.contents.value == bytes.fromhex(field.field_id[2:]) + field.name.value + field.value.value
    assert field.field_object.object_type == inner.object_type
    bare = await client.state.ListDynamicFields(state_service_pb2.ListDynamicFieldsRequest(parent=staking))
    assert [name.name for name, _ in bare.dynamic_fields[0].ListFields()] == ["parent", "field_id"]


async def test_coin_infos(devnet, client):
    wal = devnet.network["wal_type"]
    info = await client.state.GetCoinInfo(state_service_pb2.GetCoinInfoRequest(coin_type=wal))
    assert (info.coin_type, info.metadata.symbol, info.metadata.decimals) == (wal, "WAL", 9)
    assert info.treasury.total_supply > 0
    sui = await client.state.GetCoinInfo(state_service_pb2.GetCoinInfoRequest(coin_type="0x2::sui::SUI"))
    assert (sui.coin_type, sui.metadata.decimals) == (SUI, 9)
    assert sui.treasury.supply_state == state_service_pb2.CoinTreasury.FIXED
    unknown = state_service_pb2.GetCoinInfoRequest(coin_type="0x9::a::B")
    assert (await refused(client.state.GetCoinInfo(unknown)))[0] == "NOT_FOUND"


async def test_packages_and_functions(client, devnet):
    package = await client.walrus_package(devnet.network)
    request = move_package_service_pb2.GetFunctionRequest(package_id=package, module_name="staking", name="voting_end")
    function = (await client.packages.GetFunction(request)).function
    assert function.name == "voting_end"
    references = [parameter.reference for parameter in function.parameters]
    assert references == [object_pb2.OpenSignature.MUTABLE, object_pb2.OpenSignature.IMMUTABLE]
    assert function.parameters[0].body.type_name == f"{package}::staking::Staking"
    request.name = "nothing"
    assert await refused(client.packages.GetFunction(request)) == ("INTERNAL", "Function not found: nothing", None)
    request.package_id = "0x6"
    assert (await refused(client.packages.GetFunction(request)))[1] == "object is not a package"
    shown = await client.packages.GetPackage(move_package_service_pb2.GetPackageRequest(package_id=package))
    assert {"staking", "system", "blob"} <= {module.name for module in shown.package.modules}
    versions = move_package_service_pb2.ListPackageVersionsRequest(package_id=package)
    assert [item.package_id for item in (await client.packages.ListPackageVersions(versions)).versions] == [package]


async def test_datatypes(client, devnet):
    """Structs, generic ones, enums; what is none of them."""
    package = await client.walrus_package(devnet.network)

    async def datatype(package_id, module, name):
        request = move_package_service_pb2.GetDatatypeRequest(package_id=package_id, module_name=module, name=name)
        return (await client.packages.GetDatatype(request)).datatype

    blob = await datatype(package, "blob", "Blob")
    assert (blob.type_name, blob.kind) == (f"{package}::blob::Blob", object_pb2.DatatypeDescriptor.STRUCT)
    assert [object_pb2.Ability.Name(ability) for ability in blob.abilities] == ["KEY", "STORE"]
    assert [(field.position, field.name) for field in blob.fields][:4] == [
        (0, "id"),
        (1, "registered_epoch"),
        (2, "blob_id"),
        (3, "size"),
    ]
    kinds = object_pb2.OpenSignatureBody
    assert [field.type.type for field in blob.fields][:4] == [kinds.DATATYPE, kinds.U32, kinds.U256, kinds.U64]
    storage = next(field for field in blob.fields if field.name == "storage")
    assert storage.type.type_name == f"{package}::storage_resource::Storage"
    coin = await datatype("0x2", "coin", "Coin")
    assert (len(coin.type_parameters), coin.defining_id) == (1, "0x" + "2".rjust(64, "0"))
    state = await datatype(package, "staking_inner", "EpochState")
    assert state.kind == object_pb2.DatatypeDescriptor.ENUM
    assert [variant.name for variant in state.variants] == ["EpochChangeSync", "EpochChangeDone", "NextParamsSelected"]
    assert [field.type.type for field in state.variants[1].fields] == [kinds.U64]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await datatype(package, "blob", "Blub")
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.INTERNAL, "Datatype not found: Blub")


async def test_health_and_reflection(client):
    health = health_pb2_grpc.HealthStub(client.channel)
    for service in ("", "sui.rpc.v2.LedgerService", "sui.rpc.v2.SubscriptionService"):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service), timeout=30)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    stub = reflection_pb2_grpc.ServerReflectionStub(client.channel)
    asked = [reflection_pb2.ServerReflectionRequest(list_services="")]
    asked.append(reflection_pb2.ServerReflectionRequest(file_containing_symbol="sui.rpc.v2.LedgerService"))
    answers = [answer async for answer in stub.ServerReflectionInfo(iter(asked), timeout=30)]
    names = {service.name for service in answers[0].list_services_response.service}
    assert {"sui.rpc.v2.StateService", "sui.rpc.v2.TransactionExecutionService", "grpc.health.v1.Health"} <= names
    assert answers[1].file_descriptor_response.file_descriptor_proto


async def test_the_tls_port_serves_the_same_with_its_own_authority(devnet, client):
    authority = devnet.network["rpc_tls_ca"].encode()
    assert authority == (devnet.data / "tls" / "ca.pem").read_bytes()
    ssl.create_default_context(cadata=authority.decode())
    credentials = grpc.ssl_channel_credentials(root_certificates=authority)
    for host in ("localhost", "127.0.0.1"):
        address = f"{host}:{devnet.endpoints['tls_port']}"
        async with grpc.aio.secure_channel(address, credentials) as channel:
            stub = ledger_service_pb2_grpc.LedgerServiceStub(channel)
            answer = await stub.GetServiceInfo(ledger_service_pb2.GetServiceInfoRequest(), timeout=30)
        assert answer.chain_id == (await client.info()).chain_id


async def test_batches_and_requests_are_bounded(client):
    batch = ledger_service_pb2.BatchGetObjectsRequest()
    for _ in range(1001):
        batch.requests.add(object_id="0x6")
    assert (await refused(client.ledger.BatchGetObjects(batch)))[::2] == ("INVALID_ARGUMENT", "requests")
    huge = ledger_service_pb2.GetObjectRequest(object_id="0" * (5 * 1024 * 1024))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.ledger.GetObject(huge)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_bytes_that_are_no_message_are_refused(client):
    call = client.channel.unary_unary("/sui.rpc.v2.LedgerService/GetObject")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"\xff" * 100, timeout=30)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert caught.value.details().startswith("failed to decode Protobuf message")
    call = client.channel.unary_stream("/sui.rpc.v2.SubscriptionService/SubscribeCheckpoints")
    with pytest.raises(grpc.aio.AioRpcError, match="failed to decode"):
        await anext(aiter(call(b"\xff" * 100, timeout=30)))
    assert (await client.info()).chain_id

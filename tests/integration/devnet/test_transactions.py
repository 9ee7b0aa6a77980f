"""Executing and simulating over gRPC: what takes effect, what is charged, what is refused how."""

import asyncio
import random

import grpc
import pytest

from walrus_proto.sui.rpc.v2 import effects_pb2, object_pb2, transaction_execution_service_pb2, transaction_pb2
from walrus_sui.devnet.ledger.records import GAS_COIN
from walrus_sui.devnet.storage.audit import audit
from walrus_sui.keys import SuiKey

EXISTS = effects_pb2.ChangedObject.INPUT_OBJECT_STATE_EXISTS
WRITTEN = effects_pb2.ChangedObject.OUTPUT_OBJECT_STATE_OBJECT_WRITE


async def code_and_text(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code().name, caught.value.details()


async def test_a_transfer_takes_effect_and_lands_in_a_checkpoint(client, key, tools):
    (coin,) = await client.gas_coins(key.address)
    recipient = SuiKey.generate()
    transaction = tools.transfer(key, coin, recipient.address, amount=5000)
    executed = await client.execute(transaction, key)
    assert executed.digest == transaction.digest
    assert executed.effects.status.success
    assert not executed.HasField("checkpoint")
    gas = executed.effects.gas_used
    cost = gas.computation_cost + gas.storage_cost - gas.storage_rebate
    (received,) = await client.gas_coins(recipient.address)
    (left,) = await client.gas_coins(key.address)
    assert received.balance == 5000
    assert left.balance == coin.balance - 5000 - cost
    assert left.version == received.version == executed.effects.lamport_version == coin.version + 1
    assert executed.effects.gas_object.object_id == coin.object_id
    assert (executed.effects.gas_object.input_state, executed.effects.gas_object.output_state) == (EXISTS, WRITTEN)
    created = [change for change in executed.effects.changed_objects if change.object_id == received.object_id]
    assert [change.id_operation for change in created] == [effects_pb2.ChangedObject.CREATED]
    assert {change.address: change.amount for change in executed.balance_changes} == {
        key.address: str(-5000 - cost),
        recipient.address: "5000",
    }
    shown = {(item.object_id, item.version) for item in executed.objects.objects}
    assert shown == {(item.object_id, item.version) for item in (coin, left, received)}
    assert executed.transaction.bcs.value == transaction.to_bcs()
    assert executed.transaction.sender == key.address
    assert executed.signatures[0].simple.public_key == key.public_key
    sequence = await client.finality(executed.digest)
    final = await client.transaction(executed.digest)
    assert final.effects == executed.effects
    assert final.balance_changes == executed.balance_changes
    checkpoint = await client.checkpoint(sequence)
    assert checkpoint.transactions[final.transaction_index] == final
    assert final.timestamp == checkpoint.summary.timestamp


async def test_the_default_mask_of_an_execution_is_the_effects(client, key, tools):
    (coin,) = await client.gas_coins(key.address)
    tx_bytes = tools.transfer(key, coin, key.address).to_bcs()
    request = transaction_execution_service_pb2.ExecuteTransactionRequest()
    request.transaction.bcs.value = tx_bytes
    request.signatures.add().bcs.value = key.sign_transaction(tx_bytes)
    answer = (await client.execution.ExecuteTransaction(request, timeout=30)).transaction
    assert [field.name for field, _ in answer.ListFields()] == ["effects"]


async def test_the_same_transaction_again_returns_what_it_did(client, key, tools):
    (coin,) = await client.gas_coins(key.address)
    transaction = tools.transfer(key, coin, key.address)
    first = await client.execute(transaction, key)
    at_once = await client.execute(transaction, key)
    assert at_once.effects == first.effects
    sequence = await client.finality(first.digest)
    later = await client.execute(transaction, key)
    assert (later.effects, later.checkpoint) == (first.effects, sequence)
    assert len(await client.gas_coins(key.address)) == 2


async def test_signatures_are_checked(client, key, tools, devnet):
    (coin,) = await client.gas_coins(key.address)
    transaction = tools.transfer(key, coin, key.address)
    stranger = SuiKey.generate()
    code, text = await code_and_text(client.execute(transaction, stranger))
    assert code == "INVALID_ARGUMENT"
    assert text.startswith("Invalid user signature")
    for signatures in ([], [b""], [b"\x00" * 97], [key.sign_transaction(b"other")], [b"\x09" * 97], [b"\x01" * 5000]):
        request = transaction_execution_service_pb2.ExecuteTransactionRequest()
        request.transaction.bcs.value = transaction.to_bcs()
        for signature in signatures:
            request.signatures.add().bcs.value = signature
        code, _ = await code_and_text(client.execution.ExecuteTransaction(request, timeout=30))
        assert code == "INVALID_ARGUMENT"
    assert (await client.gas_coins(key.address))[0].version == coin.version
    # A length-prefixed signature is the same signature.
    request = transaction_execution_service_pb2.ExecuteTransactionRequest()
    request.transaction.bcs.value = transaction.to_bcs()
    request.signatures.add().bcs.value = b"\x61" + key.sign_transaction(transaction.to_bcs())
    assert (await client.execution.ExecuteTransaction(request, timeout=30)).transaction.effects.status.success


async def test_stale_and_foreign_objects_are_refused(client, key, tools, devnet):
    (coin,) = await client.gas_coins(key.address)
    stale = tools.transfer(key, coin, key.address)
    await client.execute(tools.transfer(key, coin, key.address, amount=7), key)
    code, text = await code_and_text(client.execute(stale, key))
    assert code == "INVALID_ARGUMENT"
    assert "unavailable for consumption" in text
    thief = SuiKey.generate()
    (current, *_) = await client.gas_coins(key.address)
    code, _ = await code_and_text(client.execute(tools.transfer(thief, current, thief.address), thief))
    assert code == "INVALID_ARGUMENT"
    missing = object_pb2.Object(object_id="0x" + "77" * 32, version=1, digest=current.digest)
    code, _ = await code_and_text(client.execute(tools.transfer(key, missing, key.address), key))
    assert code in {"INVALID_ARGUMENT", "NOT_FOUND"}


async def test_a_wrong_initial_version_of_a_shared_object_is_refused(client, key, tools, devnet):
    (coin,) = await client.gas_coins(key.address)
    exchange = await client.object(devnet.network["exchange_objects"][0])
    exchange.owner.version += 1
    program = tools.program()
    target = exchange.object_type.removesuffix("::Exchange") + "::exchange_all_for_wal"
    wal = program.call(target, program.shared(exchange), program.split(GAS_COIN, 5))
    program.send(key.address, wal)
    code, text = await code_and_text(client.execute(program.build(key, coin), key))
    assert code == "INVALID_ARGUMENT"
    assert f"was first shared at version {exchange.owner.version - 1}" in text


async def test_concurrent_clients_lose_no_update(client, tools, devnet):
    """Many senders change the same shared object at once: it is as if one had come after the other."""
    before = await client.object(devnet.network["exchange_objects"][0])
    target = before.object_type.removesuffix("::Exchange") + "::exchange_all_for_wal"
    senders, rounds, amount = [SuiKey.generate() for _ in range(8)], 5, 1_000
    versions = []

    async def swap(sender):
        await asyncio.to_thread(devnet.fund, sender.address)
        (coin,) = await client.gas_coins(sender.address)
        for _ in range(rounds):
            program = tools.program()
            wal = program.call(target, program.shared(before), program.split(GAS_COIN, amount))
            program.send(sender.address, wal)
            executed = await client.execute(program.build(sender, coin), sender)
            assert executed.effects.status.success, executed.effects.status
            coin = tools.own_coin(executed, sender.address)
            (change,) = [item for item in executed.effects.changed_objects if item.object_id == before.object_id]
            versions.append((change.input_version, change.output_version))

    await asyncio.gather(*map(swap, senders))
    # Each saw what exactly one other had left, and nobody saw what somebody else saw.
    assert len(versions) == len(senders) * rounds
    versions.sort()
    assert versions[0][0] == before.version
    assert all(output > seen for seen, output in versions)
    assert [output for _, output in versions[:-1]] == [seen for seen, _ in versions[1:]]
    after = await client.object(before.object_id)
    assert after.version == versions[-1][1]
    sold = len(senders) * rounds * amount
    # The exchange is its id, its WAL and its SUI.
    was, now = [
        [int.from_bytes(item.contents.value[at : at + 8], "little") for at in (32, 40)] for item in (before, after)
    ]
    assert now == [was[0] - sold, was[1] + sold]
    # One serial order gives all of this again: the one in the log.
    report = await asyncio.to_thread(lambda: audit(devnet.data / "ledger.sqlite", replay=True))
    assert report.findings == []


async def test_of_two_spends_of_one_coin_one_wins(client, key, tools):
    (coin,) = await client.gas_coins(key.address)
    both = [client.execute(tools.transfer(key, coin, key.address, amount=amount), key) for amount in (11, 12)]
    results = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(isinstance(result, grpc.aio.AioRpcError) for result in results) == [False, True]


async def deprecated_call(client, network, tools, key, coin):
    """A call that always aborts with code 2."""
    program = tools.program()
    staking, system, clock = [
        program.shared(await client.object(object_id, "object_id", "owner"), mutable=mutable)
        for object_id, mutable in ((network["staking_object"], True), (network["system_object"], True), ("0x6", False))
    ]
    package = await client.walrus_package(network)
    program.call(f"{package}::staking::initiate_epoch_change", staking, system, clock)
    return program.build(key, coin)


async def test_an_abort_charges_gas_and_changes_nothing_else(client, key, tools, devnet):
    (coin,) = await client.gas_coins(key.address)
    network = devnet.network
    transaction = await deprecated_call(client, network, tools, key, coin)
    executed = await client.execute(transaction, key)
    status = executed.effects.status
    assert not status.success
    assert status.error.kind == effects_pb2.ExecutionError.MOVE_ABORT
    assert status.error.command == 0
    assert status.error.abort.abort_code == 2
    assert status.error.abort.location.module == "staking"
    assert status.error.abort.location.function_name == "initiate_epoch_change"
    assert status.error.abort.location.package == await client.walrus_package(network)
    assert not executed.HasField("events")
    (left,) = await client.gas_coins(key.address)
    assert left.balance < coin.balance
    await client.finality(executed.digest)
    assert (await client.transaction(executed.digest, "effects")).effects == executed.effects


async def test_read_only_shared_inputs_are_listed_with_their_version(client, key, tools, devnet):
    (coin,) = await client.gas_coins(key.address)
    executed = await client.execute(await deprecated_call(client, devnet.network, tools, key, coin), key)
    (clock,) = executed.effects.unchanged_consensus_objects
    assert clock.object_id == "0x" + "6".rjust(64, "0")
    assert clock.object_type.endswith("::clock::Clock")


def proto_transfer(key, recipient, amount):
    """A transfer as messages, the way clients without BCS send it: no gas payment, no versions."""
    inputs = [
        transaction_pb2.Input(kind=transaction_pb2.Input.PURE, pure=amount.to_bytes(8, "little")),
        transaction_pb2.Input(pure=bytes.fromhex(recipient[2:])),
    ]
    gas = transaction_pb2.Argument(kind=transaction_pb2.Argument.GAS)
    first, second = [transaction_pb2.Argument(kind=transaction_pb2.Argument.INPUT, input=index) for index in (0, 1)]
    split = transaction_pb2.SplitCoins(coin=gas, amounts=[first])
    result = transaction_pb2.Argument(kind=transaction_pb2.Argument.RESULT, result=0, subresult=0)
    send = transaction_pb2.TransferObjects(objects=[result], address=second)
    message = transaction_pb2.Transaction(sender=key.address)
    message.kind.programmable_transaction.inputs.extend(inputs)
    message.kind.programmable_transaction.commands.add(split_coins=split)
    message.kind.programmable_transaction.commands.add(transfer_objects=send)
    return message


async def simulate(client, transaction, **fields):
    request = transaction_execution_service_pb2.SimulateTransactionRequest(transaction=transaction, **fields)
    return await client.execution.SimulateTransaction(request, timeout=30)


async def test_a_simulation_chooses_gas_and_its_transaction_can_be_signed(client, key, tools):
    (coin,) = await client.gas_coins(key.address)
    recipient = SuiKey.generate().address
    simulated = await simulate(client, proto_transfer(key, recipient, 777), do_gas_selection=True)
    assert simulated.transaction.effects.status.success
    assert simulated.suggested_gas_price > 0
    chosen = simulated.transaction.transaction.gas_payment
    assert [item.object_id for item in chosen.objects] == [coin.object_id]
    assert 0 < chosen.budget < 1_000_000_000
    assert (await client.gas_coins(key.address))[0].version == coin.version, "a simulation has no effect"
    request = transaction_execution_service_pb2.ExecuteTransactionRequest(read_mask=tools.mask("effects"))
    request.transaction.bcs.value = simulated.transaction.transaction.bcs.value
    request.signatures.add().bcs.value = key.sign_transaction(simulated.transaction.transaction.bcs.value)
    executed = (await client.execution.ExecuteTransaction(request, timeout=30)).transaction
    assert executed.effects.status.success
    assert executed.effects.gas_used == simulated.transaction.effects.gas_used
    assert (await client.gas_coins(recipient))[0].balance == 777


async def test_a_simulation_without_coins(client):
    poor = SuiKey.generate()
    simulated = await simulate(client, proto_transfer(poor, poor.address, 1))
    assert simulated.transaction.effects.status.success, "an invented coin pays"
    code, text = await code_and_text(simulate(client, proto_transfer(poor, poor.address, 1), do_gas_selection=True))
    assert code == "INVALID_ARGUMENT"
    assert "gas selection" in text


async def test_a_simulation_of_bytes_calls_views(client, key, tools, devnet):
    (coin,) = await client.gas_coins(key.address)
    network = devnet.network
    program = tools.program()
    staking = program.shared(await client.object(network["staking_object"], "object_id", "owner"), mutable=False)
    program.call(f"{await client.walrus_package(network)}::staking::epoch", staking)
    message = transaction_pb2.Transaction()
    message.bcs.name, message.bcs.value = "Transaction", program.build(key, coin).to_bcs()
    simulated = await simulate(client, message)
    (output,) = simulated.command_outputs
    (epoch,) = output.return_values
    assert epoch.value.name == "u32"
    assert len(epoch.value.value) == 4


async def test_a_shared_input_is_taken_as_the_function_needs_it(client, key, tools, devnet):
    """Whatever the client says of mutability: the signature decides, as on a real node."""
    network = devnet.network
    package = await client.walrus_package(network)
    message = transaction_pb2.Transaction(sender=key.address)
    program = message.kind.programmable_transaction
    program.inputs.add(kind=transaction_pb2.Input.SHARED, object_id=network["staking_object"], mutable=False)
    program.inputs.add(object_id="0x6", mutable=True)
    arguments = [transaction_pb2.Argument(kind=transaction_pb2.Argument.INPUT, input=index) for index in (0, 1)]
    call = transaction_pb2.MoveCall(package=package, module="staking", function="voting_end", arguments=arguments)
    program.commands.add(move_call=call)
    simulated = await simulate(client, message, do_gas_selection=True)
    staking, clock = simulated.transaction.transaction.kind.programmable_transaction.inputs
    assert (staking.mutable, clock.mutable) == (True, False)
    assert clock.object_id == "0x" + "6".rjust(64, "0")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda message: message.ClearField("sender"), "missing sender"),
        (lambda message: message.kind.Clear(), "missing transaction.kind.programmable_transaction"),
        (lambda message: message.kind.programmable_transaction.commands.add(), "command 2 is empty"),
        (lambda message: setattr(message.bcs, "value", b"\x05garbage"), "invalid transaction"),
        (lambda message: message.kind.programmable_transaction.inputs.add(object_id="0x99"), "not found"),
        (lambda message: message.gas_payment.objects.add(object_id="0x6"), "not a valid gas coin"),
        (
            lambda message: message.kind.programmable_transaction.commands.add().merge_coins.coins_to_merge.add(
                kind=2, input=70000
            ),
            "invalid command",
        ),
    ],
)
async def test_transactions_that_cannot_be_understood_are_refused(client, change, field):
    key = SuiKey.generate()
    message = proto_transfer(key, key.address, 1)
    change(message)
    code, text = await code_and_text(simulate(client, message))
    assert code in {"INVALID_ARGUMENT", "NOT_FOUND"}
    assert field in text


@pytest.mark.parametrize("raw", [b"\x00", b"\xff" * 50, b"\x00" * 200_000, b"\x00\x00" + b"\x80" * 40])
async def test_bytes_that_are_no_transaction_are_refused(client, key, raw):
    request = transaction_execution_service_pb2.ExecuteTransactionRequest()
    request.transaction.bcs.value = raw
    request.signatures.add().bcs.value = key.sign_transaction(raw)
    code, text = await code_and_text(client.execution.ExecuteTransaction(request, timeout=30))
    assert code == "INVALID_ARGUMENT"
    assert text


async def test_money_moves_between_sui_and_wal(client, key, tools, devnet):
    (coin,) = await client.gas_coins(key.address)
    network = devnet.network
    exchange = await client.object(network["exchange_objects"][0])
    program = tools.program()
    paid = program.split(GAS_COIN, 5_000_000_000)
    target = exchange.object_type.removesuffix("::Exchange") + "::exchange_all_for_wal"
    program.send(key.address, program.call(target, program.shared(exchange), paid))
    executed = await client.execute(program.build(key, coin), key)
    assert executed.effects.status.success, executed.effects.status
    changes = {change.coin_type: int(change.amount) for change in executed.balance_changes}
    assert changes[network["wal_type"]] == 5_000_000_000


def mutations(data, count):
    """Damaged copies of some bytes, always the same ones."""
    chance = random.Random(7)
    for _ in range(count):
        damaged = bytearray(data)
        for _ in range(chance.choice((1, 1, 2, 4))):
            at = chance.randrange(len(damaged))
            match chance.randrange(4):
                case 0:
                    damaged[at] = chance.randrange(256)
                case 1:
                    damaged[at] ^= 1 << chance.randrange(8)
                case 2:
                    damaged[at:at] = chance.randbytes(chance.randrange(1, 5))
                case _:
                    del damaged[at : at + chance.randrange(1, 6)]
        yield bytes(damaged)


async def test_damaged_transactions_always_get_a_status(devnet, client, key, tools):
    """Signed as they are, so that they come as far as they can."""
    (coin,) = await client.gas_coins(key.address)
    codes = set()
    for raw in mutations((await deprecated_call(client, devnet.network, tools, key, coin)).to_bcs(), 150):
        request = transaction_execution_service_pb2.ExecuteTransactionRequest()
        request.transaction.bcs.value = raw
        request.signatures.add().bcs.value = key.sign_transaction(raw)
        trial = transaction_execution_service_pb2.SimulateTransactionRequest(transaction=request.transaction, checks=1)
        calls = (client.execution.ExecuteTransaction(request), client.execution.SimulateTransaction(trial))
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            codes.add(outcome.code().name if isinstance(outcome, grpc.aio.AioRpcError) else "OK")
    assert codes <= {"OK", "INVALID_ARGUMENT", "NOT_FOUND"}
    assert "unexpected error" not in devnet.log.read_text()

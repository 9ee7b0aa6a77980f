"""A chain of coins for tests of the executor: it checks versions as a real one does, and fails on command."""

import asyncio
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import base58
from pysui.sui.sui_bcs import bcs as pbcs

from walrus_codec.types import Digest, ObjectId, SuiAddress
from walrus_sui.abi import move_types
from walrus_sui.abi.ptb import ObjectRef
from walrus_sui.client import wire
from walrus_sui.errors import ChainError, ChainUnreachable, ObjectNotFound, RequestRefused

SUI = move_types.canonical(move_types.SUI_TYPE)
WAL_TYPE = "0x7::wal::WAL"
WAL = move_types.canonical(WAL_TYPE)
GAS = 1_000_000
FAILURES = {
    "abort": wire.Failure("aborted", "m", "f", 7),
    "cut off": wire.Failure("out of gas", kind="INSUFFICIENT_GAS"),
}


def oid(number: int) -> ObjectId:
    return ObjectId("0x" + f"{number:064x}")


def digest(*parts: object) -> Digest:
    return Digest(base58.b58encode(hashlib.blake2b(repr(parts).encode(), digest_size=32).digest()).decode())


@dataclass
class Held:
    version: int
    owner: SuiAddress
    type: str
    balance: int

    def ref(self, object_id: ObjectId) -> ObjectRef:
        return ObjectRef(object_id, self.version, digest(object_id, self.version))


@dataclass
class FakeChain:
    """`plan` holds what happens to the next submissions: ok, lost (executed, no answer), down, refuse, abort, cut off."""

    objects_held: dict[ObjectId, Held] = field(default_factory=dict)
    plan: list[str] = field(default_factory=list)
    results: dict[Digest, wire.Executed] = field(default_factory=dict)
    submissions: list[bytes] = field(default_factory=list)
    budgets: list[int] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    listing_lags: int = 0
    failure: wire.Failure | None = None
    estimate: int = GAS
    simulations: int = 0
    simulated_failure: wire.Failure | None = None
    simulation_error: ChainError | None = None
    returned: tuple[tuple[bytes, ...], ...] = ()
    functions: list[str] = field(default_factory=list)
    executed_something: asyncio.Event = field(default_factory=asyncio.Event)

    def give(self, number: int, owner: SuiAddress, balance: int, token: str = SUI) -> ObjectId:
        object_type = move_types.canonical(move_types.coin_type(token))
        self.objects_held[oid(number)] = Held(number, owner, object_type, balance)
        return oid(number)

    # -- the endpoint

    async def gas_price(self) -> int:
        self.reads.append("gas_price")
        return 1000

    async def objects(self, object_ids: Iterable[ObjectId]) -> dict[ObjectId, wire.RawObject]:
        self.reads.append("objects")
        return {object_id: self._raw(object_id) for object_id in object_ids if object_id in self.objects_held}

    async def owned(self, owner: str, object_type: str) -> list[wire.RawObject]:
        self.reads.append("owned")
        wanted = move_types.canonical(object_type)
        found = [
            self._raw(key) for key, held in self.objects_held.items() if (held.owner, held.type) == (owner, wanted)
        ]
        if self.listing_lags:
            self.listing_lags -= 1
            found = [wire.RawObject(_older(item.ref), item.type, item.owner, None, item.contents) for item in found]
        return found

    async def execute(self, transaction: bytes, signature: bytes) -> wire.Executed:
        self.submissions.append(transaction)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)
            step = self.plan.pop(0) if self.plan else "ok"
            if step == "down":
                raise ChainUnreachable("down")
            if step == "refused connection":
                raise ChainUnreachable("nobody there") from ConnectionRefusedError()
            if step == "refuse":
                raise RequestRefused("no such thing")
            failing = (self.failure or FAILURES[step]) if step in FAILURES else None
            executed = self._executed(transaction, failing=failing)
            if step == "lost":
                raise ChainUnreachable("the answer was lost")
            return executed
        finally:
            self.in_flight -= 1

    async def simulate(self, transaction: bytes) -> wire.Simulated:
        self.simulations += 1
        if self.simulation_error is not None:
            raise self.simulation_error
        return wire.Simulated(self.simulated_failure, self.estimate, self.returned)

    async def transaction(self, digest: Digest) -> wire.Executed | None:
        self.reads.append("transaction")
        return self.results.get(digest)

    # -- the ledger

    def _executed(self, transaction: bytes, *, failing: wire.Failure | None) -> wire.Executed:
        name = move_types.transaction_digest(transaction)
        if name in self.results:
            return self.results[name]
        data = pbcs.TransactionData.deserialize(transaction).value
        payment = [(ObjectId(ref.ObjectID.to_address_str()), ref.SequenceNumber) for ref in data.GasData.Payment]
        inputs = [
            (ObjectId(arg.value.value.ObjectID.to_address_str()), arg.value.value.SequenceNumber)
            for arg in data.TransactionKind.value.Inputs
            if arg.enum_name == "Object" and arg.value.enum_name == "ImmOrOwnedObject"
        ]
        for object_id, version in payment + inputs:
            held = self.objects_held.get(object_id)
            if held is None:
                raise ObjectNotFound(f"object {object_id} not found")
            if held.version != version:
                raise RequestRefused(f"object {object_id} version {version} is unavailable for consumption")
        total = sum(self.objects_held[object_id].balance for object_id, _version in payment)
        self.budgets.append(data.GasData.Budget)
        if total < data.GasData.Budget:
            raise RequestRefused("balance of gas object is lower than the needed amount")
        lamport = 1 + max(version for _object_id, version in payment + inputs)
        changed: list[wire.ChangedObject] = []
        gas_id = payment[0][0]
        for object_id, _version in payment[1:]:
            gone = self.objects_held.pop(object_id)
            changed.append(wire.ChangedObject(object_id, gone.type, False, None, None))
        self.objects_held[gas_id].balance = total - GAS
        merged = self._merge(data, gas_id) if failing is None else set()
        for object_id in merged:
            gone = self.objects_held.pop(object_id)
            changed.append(wire.ChangedObject(object_id, gone.type, False, None, None))
        kept = [object_id for object_id, _version in inputs if object_id not in merged]
        for object_id in [gas_id, *kept]:
            held = self.objects_held[object_id]
            held.version = lamport
            changed.append(wire.ChangedObject(object_id, held.type, False, held.ref(object_id), held.owner))
        result = wire.Executed(
            digest=name,
            failure=failing,
            gas_cost=GAS,
            changed=tuple(changed),
            gas_object_id=gas_id,
            events=(),
            objects=tuple(self._raw(item.object_id) for item in changed if item.ref is not None),
            checkpoint=None,
            gas_used=GAS,
        )
        self.results[name] = result
        if failing is None:
            commands = data.TransactionKind.value.Command
            self.functions += [command.value.Function for command in commands if command.enum_name == "MoveCall"]
        self.executed_something.set()
        return result

    def _merge(self, data, gas_id: ObjectId) -> set[ObjectId]:
        """Carry MergeCoins out over inputs and the gas coin; returns the coins that are gone."""
        inputs, gone = data.TransactionKind.value.Inputs, set()

        def coin(argument) -> ObjectId:
            if argument.enum_name == "GasCoin":
                return gas_id
            return ObjectId(inputs[argument.value].value.value.ObjectID.to_address_str())

        for command in data.TransactionKind.value.Command:
            if command.enum_name == "MergeCoins":
                for source in map(coin, command.value.FromCoins):
                    self.objects_held[coin(command.value.ToCoin)].balance += self.objects_held[source].balance
                    gone.add(source)
        return gone

    def _raw(self, object_id: ObjectId) -> wire.RawObject:
        held = self.objects_held[object_id]
        contents = bytes.fromhex(object_id[2:]) + held.balance.to_bytes(8, "little")
        return wire.RawObject(held.ref(object_id), held.type, held.owner, None, contents)


def _older(ref: ObjectRef) -> ObjectRef:
    return ObjectRef(ref.object_id, ref.version - 1, digest(ref.object_id, ref.version - 1))

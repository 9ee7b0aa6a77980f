"""From written values to effects: gas is charged, versions and digests are given, changes are listed.

Execution hands over `Writes`: what is to be written and what is gone. Settling them is the same for success and failure;
only the writes differ.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from walrus_codec.types import Digest, ObjectId
from walrus_sui.devnet.ledger import digests, gas
from walrus_sui.devnet.ledger.effects import (
    Effects,
    Event,
    GasUsed,
    IdOperation,
    ObjectChange,
    ObjectState,
    events_digest,
)
from walrus_sui.devnet.ledger.failures import Failure
from walrus_sui.devnet.ledger.inputs import LoadedInputs
from walrus_sui.devnet.ledger.objects import ImmutableOwner, Object, Owner, SharedOwner
from walrus_sui.devnet.ledger.programs import SharedObject
from walrus_sui.devnet.ledger.state import State
from walrus_sui.devnet.ledger.transactions import TransactionData
from walrus_sui.devnet.ledger.views import CommandOutput


@dataclass(frozen=True, slots=True)
class Draft:
    """An object to be written, without digest; the version is the transaction's, except for packages."""

    type: str
    contents: bytes
    owner: Owner
    has_public_transfer: bool
    package_version: int | None = None

    @property
    def cost(self) -> int:
        """MIST for keeping it."""
        return gas.storage_cost(self.type, len(self.contents))


@dataclass(frozen=True, slots=True)
class Writes:
    """What a run leaves behind.

    Attributes:
        drafts: objects to write.
        gone: ids that are live no more, and whether they were deleted or wrapped (``NONE``).
        created: ids that the run made.
        events: what it emitted.
        gas_left: balance of the gas coin before the cost is taken, None if nobody pays.
    """

    drafts: dict[ObjectId, Draft]
    gone: dict[ObjectId, IdOperation]
    created: frozenset[ObjectId]
    events: tuple[Event, ...]
    gas_left: int | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a transaction did, before anything is applied.

    Attributes:
        effects: its effects.
        events: its events.
        before: replaced and deleted objects, and objects that were only read.
        after: written objects.
        deleted: ids that are live no more.
        outputs: results of the commands, if they were asked for.
    """

    effects: Effects
    events: tuple[Event, ...]
    before: tuple[Object, ...]
    after: tuple[Object, ...]
    deleted: tuple[ObjectId, ...]
    outputs: tuple[CommandOutput, ...] = ()


@dataclass(frozen=True, slots=True)
class Settlement:
    """Turns writes of one transaction into its outcome."""

    state: State
    transaction: TransactionData
    digest: Digest
    inputs: LoadedInputs

    def before(self, writes: Writes) -> dict[ObjectId, Object]:
        """The live versions of what the writes replace or end."""
        # A gas coin that a simulation invented is not in the state.
        paying = {coin.object_id: coin for coin in self.inputs.payment}
        found: dict[ObjectId, Object] = {}
        for object_id in (*writes.drafts, *writes.gone):
            obj = self.state.get(object_id) or paying.get(object_id)
            if obj is not None:
                found[object_id] = obj
        return found

    def charge(self, writes: Writes, before: Mapping[ObjectId, Object]) -> GasUsed:
        """What the writes cost; `before` is what they replace."""
        stored = sum([draft.cost for draft in writes.drafts.values()])
        return gas.summary(self.transaction.gas.price, stored=stored, replaced=before.values())

    def settle(
        self,
        writes: Writes,
        before: Mapping[ObjectId, Object],
        failure: Failure | None,
        used: GasUsed,
        *,
        epoch: int,
        metered: bool = True,
    ) -> Outcome:
        """The outcome, with `used` taken from the gas coin.

        Args:
            writes: what to write.
            before: what they replace, from `before`.
            failure: status to state.
            used: cost to state and to take.
            epoch: Sui epoch to state.
            metered: whether storage was charged; otherwise every object keeps the rebate that it had.
        """
        gas_id = self.inputs.payment[0].object_id if self.inputs.payment else None
        read = self._read_only()
        rebates = {} if metered else {object_id: obj.storage_rebate for object_id, obj in before.items()}
        if gas_id is not None and not metered:
            rebates[gas_id] = sum(coin.storage_rebate for coin in self.inputs.payment)
        after: dict[ObjectId, Object] = {}
        for object_id, draft in writes.drafts.items():
            balance = None
            if object_id == gas_id and writes.gas_left is not None:
                balance = writes.gas_left - used.net
            after[object_id] = self._seal(object_id, draft, rebates.get(object_id, draft.cost), balance=balance)
        ids = sorted({*after, *writes.gone})
        changes = tuple(
            [
                ObjectChange(
                    object_id,
                    ObjectState.of(before.get(object_id)),
                    ObjectState.of(after.get(object_id)),
                    _operation(object_id, writes),
                    is_package=object_id in after and after[object_id].is_package,
                )
                for object_id in ids
            ]
        )
        effects = Effects(
            failure=failure,
            executed_epoch=epoch,
            gas_used=used,
            transaction_digest=self.digest,
            gas_object_index=None if gas_id is None else ids.index(gas_id),
            events_digest=events_digest(writes.events),
            dependencies=_dependencies((*self.inputs.objects, *self.inputs.payment)),
            lamport_version=self.inputs.lamport_version,
            changed_objects=changes,
            unchanged_shared=tuple(
                (obj.object_id, obj.version, obj.digest) for obj in read if isinstance(obj.owner, SharedOwner)
            ),
        )
        deleted = tuple(object_id for object_id in writes.gone if object_id in before)
        return Outcome(effects, writes.events, (*before.values(), *read), tuple(after.values()), deleted)

    def _seal(self, object_id: ObjectId, draft: Draft, rebate: int, *, balance: int | None) -> Object:
        contents = draft.contents if balance is None else draft.contents[:32] + balance.to_bytes(8, "little")
        return Object(
            object_id,
            self.inputs.lamport_version if draft.package_version is None else draft.package_version,
            draft.owner,
            draft.type,
            contents,
            self.digest,
            rebate,
            draft.has_public_transfer,
        )

    def _read_only(self) -> list[Object]:
        read = [
            obj
            for given, obj in zip(self.transaction.inputs, self.inputs.objects, strict=True)
            if obj is not None
            and (isinstance(obj.owner, ImmutableOwner) or (isinstance(given, SharedObject) and not given.mutable))
        ]
        return sorted(read, key=lambda obj: obj.object_id)


def _operation(object_id: ObjectId, writes: Writes) -> IdOperation:
    if object_id in writes.gone:
        return writes.gone[object_id]
    return IdOperation.CREATED if object_id in writes.created else IdOperation.NONE


def _dependencies(objects: Iterable[Object | None]) -> tuple[Digest, ...]:
    previous = {obj.previous_transaction for obj in objects if obj is not None}
    return tuple(sorted(previous, key=digests.to_bytes))

"""Random calls of any function of the contract, put together from what its signature says.

Objects are taken from the chain, and whoever owns one signs; certificates are signed by members; numbers are drawn near
the limits that the parameter's name suggests. What a call gives back goes to somebody. Most calls make sense, not all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from walrus_codec.types import Epoch, NodeId, ObjectId
from walrus_sui import bls, messages
from walrus_sui.devnet.ledger.objects import AddressOwner, SharedOwner
from walrus_sui.devnet.ledger.programs import Argument
from walrus_sui.devnet.ledger.upgrades import package_digest
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core.packages import STD, SUI
from walrus_sui.devnet.move.core.signatures import Parameter
from walrus_sui.devnet.move.core.tags import TypeTag
from walrus_sui.devnet.move.core.types import MoveType
from walrus_sui.devnet.move.walrus.auth import Address
from walrus_sui.devnet.move.walrus.blob import derive_blob_id
from walrus_sui.devnet.move.walrus.storage_pool import PooledBlob
from walrus_sui.devnet.testing import Account, Chain, Program, Returned, bls_secret
from walrus_sui.devnet.testing.functions import find_function
from walrus_sui.devnet.testing.internals import rt

WAL = 10**9
MIB = 1 << 20
SHAPES = [(root, size) for root in (0, 1) for size in (1, 1_000)]
CODES = ((b"new",), (b"newer", b"code"))
DEPENDENCIES = (ObjectId(STD), ObjectId(SUI))
DIGESTS = {package_digest(code, DEPENDENCIES): code for code in CODES}
KEYS = ("mime", "name")
RS2 = 1
_MANY = {"Exchange", "WalrusSubsidies", "SharedBlob"}  # there may be more than the one of genesis


class Unavailable(Exception):  # noqa: N818 - a condition
    """There is no object yet that the call could be made with."""


@dataclass(frozen=True)
class Habits:
    """What is known about single functions and parameters.

    Attributes:
        fitting: draws arguments that must fit together, by ``module::function``.
        draws: draws a value, by ``module::function.parameter``, parameter or type.
    """

    fitting: "Mapping[str, Callable[[RandomCall], None]]"
    draws: "Mapping[str, Callable[[RandomCall], Any]]"


class RandomCall:
    """One call while its arguments are drawn.

    Args:
        chain: where it will run.
        people: who may sign.
        secrets: BLS secrets by public key; new nodes add theirs.
        dice: decides everything.
        name: the function, ``package::module::name``.
        program: the transaction to add it to; without one it starts its own.
        given: arguments that are decided already.

    Raises:
        Unavailable: when it is added: an object is missing.
    """

    def __init__(  # noqa: PLR0917 - the first five are the same for all calls of a world
        self,
        chain: Chain,
        people: Sequence[Account],
        secrets: dict[bytes, int],
        dice: Random,
        name: str,
        program: Program | None = None,
        **given: Any,
    ) -> None:
        self.chain, self.people, self.secrets, self.dice = chain, people, secrets, dice
        self.path, self.name = name, "::".join(name.split("::")[1:])
        self.signature = find_function(name)[2].signature
        self.sender = None if program is None else program.sender
        self.given = given
        self.at: ObjectId | None = None
        self._program = program

    @property
    def epoch(self) -> int:
        return int(self.chain.staking().epoch)

    @property
    def program(self) -> Program:
        """The transaction; the first look at it decides who signs."""
        if self._program is None:
            self.sender = self.sender or self.dice.choice(self.people)
            self._program = self.chain.program(self.sender)
        return self._program

    def add(self, habits: Habits) -> Program:
        """Draws what is missing and adds the call."""
        if self.name in habits.fitting:
            habits.fitting[self.name](self)
        self._choose_objects()
        types = [self.chain.network.wal_type] if self.signature.type_parameters else []
        types = {"auth": [], "extended_field": ["u64"]}.get(self.name.split("::")[0], types)
        for parameter in self.signature.arguments:
            if parameter.name not in self.given:
                value = self._value(parameter, habits)
                if value is not None:
                    self.given[parameter.name] = value
        returned = self.program.call(self.path, types=types, at=self.at, **self.given)
        self._give_away(returned)
        return self.program

    # Objects

    def _choose_objects(self) -> None:
        def rank(parameter: Parameter) -> bool:
            return parameter.tag.name in _MANY  # by then it is known who rules them

        for parameter in sorted(self.signature.arguments, key=rank):
            if parameter.name not in self.given and self._is_object(parameter.tag):
                self.take(parameter.name, self.candidates(parameter.tag))

    def _is_object(self, tag: TypeTag) -> bool:
        if tag.name == "$0":
            return self.name == "auth::authenticate_with_object"
        if tag.name == "Coin" or not tag.is_struct or "key" not in registry.declaration(tag).abilities:
            return False
        return tag.name in _MANY or self.chain.shared_at_genesis(tag.head) is None

    def candidates(self, tag: TypeTag) -> list[tuple[ObjectId, Account | None]]:
        """Objects of a type that are shared or that somebody may use who may still sign, with their owner."""
        wanted = "" if tag.name == "$0" else self.program_type(tag)
        owners = {person.address: person for person in self.people if self.sender in {None, person}}
        found: list[tuple[ObjectId, Account | None]] = []
        for obj in self.chain.ledger.objects():
            if not obj.type.startswith(wanted) or obj.object_id in self.given.values():
                continue
            if isinstance(obj.owner, AddressOwner) and obj.owner.address in owners and obj.coin_type is None:
                found.append((obj.object_id, owners[obj.owner.address]))
            elif isinstance(obj.owner, SharedOwner) and wanted:
                found.append((obj.object_id, None))
        return found

    def program_type(self, tag: TypeTag) -> str:
        return str(self.chain.network.packages.published(TypeTag(tag.name, (), tag.address, tag.module)))

    def objects(self, name: str) -> list[tuple[Any, Account | None]]:
        """Objects by their type's name as the signature knows it, decoded, with their owner."""
        (tag,) = {parameter.tag for parameter in self.signature.arguments if parameter.tag.name == name}
        return [(self.chain.value(object_id), owner) for object_id, owner in self.candidates(tag)]

    def take(self, parameter: str, found: Sequence[tuple[ObjectId, Account | None]]) -> None:
        """Takes one of the objects for a parameter, preferably the right purse for a capability."""
        if "admin_cap" in self.given:
            cap = self.chain.value(self.given["admin_cap"])
            ruled = getattr(cap, "subsidies_id", None)
            right = [item for item in found if item[0] == ruled or getattr(self.value(item[0]), "admin", "") == cap.id]
            found = right if right and self.often() else found
        if not found:
            raise Unavailable(parameter)
        object_id, owner = self.dice.choice(found)
        self.given[parameter] = object_id
        self.sender = self.sender or owner

    def prefer(self, parameter: str, kind: str, fits: Callable[[Any], bool]) -> Any:
        """Takes an object for which something holds, mostly; gives it decoded."""
        found = self.objects(kind)
        right = [item for item in found if fits(item[0])]
        self.take(parameter, [(item.id, owner) for item, owner in (right if right and self.often() else found)])
        return self.value(self.given[parameter])

    def value(self, object_id: ObjectId) -> Any:
        return self.chain.value(object_id)

    def lives(self, storage: Any) -> bool:
        return bool(storage.start_epoch <= self.epoch < storage.end_epoch)

    def often(self) -> bool:
        return self.dice.random() < 0.9

    # Values

    def _value(self, parameter: Parameter, habits: Habits) -> Any:
        for known in (f"{self.name}.{parameter.name}", parameter.name, parameter.tag.name):
            if known in habits.draws:
                return habits.draws[known](self)
        return None  # the facade knows, or it is missing

    def amount(self) -> int:
        """FROST or MIST."""
        return self.dice.choice((0, 1, WAL // 3, WAL, self.dice.randrange(5 * WAL), 10**14))

    def money(self, amount: int) -> Argument:
        return self.program.money(self.chain.network.wal_type, amount)

    def balance(self) -> Argument:
        """A purse of WAL; what is only lent to the call is sent home afterwards."""
        wal = self.chain.network.wal_type
        made = self.program.call("coin::into_balance", coin=self.money(self.dice.randrange(WAL)), types=[wal])
        return made[0]

    def balances(self, count: int) -> Argument:
        wal = self.chain.network.wal_type
        return self.program.vector([self.balance() for _ in range(count)], f"0x2::balance::Balance<{wal}>")

    def metadata(self) -> Argument:
        """Attributes of a blob."""
        made = self.program.call("metadata::new")[0]
        for key in self.dice.sample(KEYS, self.dice.randrange(3)):
            self.program.call("metadata::insert_or_update", self=made, key=key, value="x")
        return made

    def buy(self, size: int, start_epoch: int, end_epoch: int) -> Argument:
        """Storage for a period, bought in the same transaction."""
        period = {"start_epoch": start_epoch, "end_epoch": end_epoch}
        return self.program.call("system::reserve_space_for_epochs", storage_amount=size, payment=WAL, **period)[0]

    def node_id(self) -> NodeId:
        """Some node, mostly a member."""
        members = sorted(self.chain.staking().committee)
        caps = [obj for obj in self.chain.ledger.objects() if obj.type.endswith("::storage_node::StorageNodeCap")]
        others = [self.chain.value(obj.object_id).node_id for obj in caps]
        found: NodeId = self.dice.choice(members if members and self.often() else others)
        return found

    def shape(self) -> tuple[int, int, int]:
        """Root, size and blob id of a blob."""
        root, size = self.dice.choice(SHAPES)
        return root, size, derive_blob_id(rt, root, RS2, size)

    def pooled(self, pool: ObjectId) -> list[PooledBlob]:
        table = self.chain.field(pool).blobs
        return [self.chain.value(item.child_id) for item in self.chain.ledger.dynamic_fields(table.id)]

    def certificate(self, message: bytes, *, bitmap: str = "signers_bitmap") -> None:
        """Lets members of the committee sign a message, mostly all of them."""
        members = self.chain.system().committee.members
        signing = [index for index in range(len(members)) if self.often()]
        if not signing:
            raise Unavailable("committee")
        bits = sum(1 << index for index in signing)
        signed = [bls.sign(self.secrets[members[index].public_key], message) for index in signing]
        self.given |= {
            "signature": bls.aggregate(signed),
            bitmap: bits.to_bytes((len(members) + 7) // 8, "little"),
            "message": message,
        }

    def new_key(self) -> None:
        """A new BLS key with its proof, by whoever signs the transaction."""
        secret = bls_secret(f"key {self.dice.getrandbits(64)}")
        key, signer = bls.public_key(secret), self.program.sender.address
        self.secrets[bls.uncompressed(key)] = secret
        proved = bls.sign(secret, messages.proof_of_possession(signer, key, Epoch(self.epoch)))
        self.given |= {"public_key": key, "proof_of_possession": proved if self.often() else proved[::-1]}

    def authority(self, parameter: str, field: str) -> None:
        """A node, and the proof of whoever may act for it, mostly."""
        node_id = self.given.get(parameter) or self.node_id()
        right = getattr(self.chain.pool(node_id), field)
        self.given[parameter] = node_id
        if isinstance(right, Address):
            found = [person for person in self.people if person.address == right.pos0]
            if not found or self.sender not in {None, found[0]}:
                raise Unavailable(parameter)
            self.sender = found[0]
            return
        obj = self.chain.ledger.object(right.pos0)
        owner = obj.owner if obj is not None else None
        found = [
            person for person in self.people if isinstance(owner, AddressOwner) and person.address == owner.address
        ]
        if not found or self.sender not in {None, found[0]}:
            raise Unavailable(parameter)
        self.sender = found[0]
        if self.often():
            self.given["auth"] = right.pos0

    # Results

    def _give_away(self, returned: Returned) -> None:
        """Sends objects and purses to somebody, also what was only lent to the call; makes upgrades that are allowed."""
        for index, move_type in enumerate(self.program.types_of(returned)):
            self._dispose(returned[index], move_type)
        for parameter in self.signature.arguments:
            if parameter.tag.name == "Balance" and parameter.reference:
                self._keep_balance(self.given[parameter.name])

    def _dispose(self, result: Argument, move_type: MoveType) -> None:
        if {"key", "store"} <= move_type.abilities:
            receiver = self.program.sender if self.often() else self.dice.choice(self.people)
            self.program.transfer([result], receiver)
        elif move_type.tag.name == "Balance":
            self._keep_balance(result)
        elif move_type.tag.name == "UpgradeTicket":
            package = self.chain.value(self.chain.network.upgrade_manager).cap.package
            code = DIGESTS[self.given["digest"]] if self.often() else (b"other code than was voted for",)
            receipt = self.program.upgrade(result, code, DEPENDENCIES, package=package)
            self.program.call("upgrade::commit_upgrade", receipt=receipt)

    def _keep_balance(self, balance: Argument) -> None:
        wal = self.chain.network.wal_type
        coin = self.program.call("coin::from_balance", balance=balance, types=[wal])
        self.program.transfer([coin[0]], self.program.sender)

"""Runs the stories in ``contract/*.txt`` on a devnet and compares what happens with what they say.

A story is lines. ``#`` starts a comment. A line that is not indented acts or states:

    chain n_shards=100 encoding=rs2 epoch_duration=10m epoch_zero_duration=10s
    accounts n0 alice                      accounts with 1,000,000 SUI and WAL
    clock +10s                             moves the clock and closes a checkpoint
    n0 registers commission_rate=6000      makes n0 a candidate
    alice stakes 1000 with n0              whole WAL
    alice calls staking::voting_end        any public function; node=n0 stands for its capability
    alice stores cat size=1000 epochs=3    reserves and registers a blob called cat
    alice certifies cat by n0 n1 n2        with a certificate of these nodes
    expect epoch=1 shards.n0=25            states, see `Story.state`

Indented lines below an action are its trace, complete and in order: ``event Name field=value`` or ``abort module code``.
Objects and blobs appear under their names, lists of shards as their number.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pytest

from walrus_codec import blob_id as blob_ids
from walrus_codec.params import CodeParams
from walrus_codec.types import BlobId, Epoch, ObjectId
from walrus_sui import messages
from walrus_sui.devnet.genesis import GenesisConfig
from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.testing import Chain, Node

STORIES = sorted((Path(__file__).parent / "contract").glob("*.txt"))
FROST = 10**9
UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}


def pairs(words: list[str]) -> dict[str, str]:
    return dict(word.split("=", 1) for word in words)


def plain(text: str) -> Any:
    return int(text) if re.fullmatch(r"-?[0-9]+", text) else {"true": True, "false": False}.get(text, text)


@dataclass
class Story:
    """One story while it runs."""

    chain: Chain = field(init=False)
    config: dict[str, Any] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    blobs: dict[str, tuple[ObjectId, BlobId]] = field(default_factory=dict)
    names: dict[Any, str] = field(default_factory=dict)

    def act(self, line: str) -> list[str]:
        """Runs one line and gives its trace."""
        words = line.split()
        if words[0] == "chain":
            self.config = {key: plain(value) for key, value in pairs(words[1:]).items()}
        elif words[0] == "accounts":
            self.chain = Chain(GenesisConfig.from_mapping(self.config), accounts=words[1:])
        elif words[0] == "clock":
            amount, unit = re.fullmatch(r"\+([0-9]+)(ms|s|m|h)", words[1]).groups()  # type: ignore[union-attr]
            self.chain.advance(ms=int(amount) * UNITS[unit])
        elif words[0] == "expect":
            self.expect(pairs(words[1:]))
        else:
            return self.transact(words)
        return []

    def transact(self, words: list[str]) -> list[str]:
        seen = sum(len(item.events) for item in self.chain.ledger.pending())
        verbs: dict[str, Callable[[str, list[str]], None]] = {
            "registers": self.registers,
            "stakes": self.stakes,
            "calls": self.calls,
            "stores": self.stores,
            "certifies": self.certifies,
        }
        try:
            verbs[words[1]](words[0], words[2:])
        except MoveAbort as aborted:
            return [f"abort {aborted.module} {aborted.code}"]
        events = [event for item in self.chain.ledger.pending() for event in item.events]
        return [self.render(event.type, event.contents) for event in events[seen:]]

    def registers(self, who: str, words: list[str]) -> None:
        options = {key: int(value) for key, value in pairs(words).items()}
        self.nodes[who] = self.chain.add_node(self.chain.account(who), **options)

    def stakes(self, who: str, words: list[str]) -> None:
        self.chain.stake(self.chain.account(who), self.nodes[words[2]], int(words[0]) * FROST)

    def calls(self, who: str, words: list[str]) -> None:
        arguments = {key: plain(value) for key, value in pairs(words[1:]).items()}
        if "node" in arguments:
            arguments["cap"] = self.nodes[arguments.pop("node")].cap_id
        self.chain.call(words[0], sender=self.chain.account(who), **arguments)

    def stores(self, who: str, words: list[str]) -> None:
        label, options = words[0], {key: plain(value) for key, value in pairs(words[1:]).items()}
        account, encoding = self.chain.account(who), self.chain.ledger.config.encoding_types[0]
        root = label.encode().ljust(32, b"\0")
        blob_id = blob_ids.compute(root, encoding, options["size"])
        size = CodeParams(self.chain.ledger.config.n_shards, encoding).encoded_length(options["size"])
        coin = self.chain.coin(account, options.get("pays", FROST))
        program = self.chain.program(account)
        storage = program.call(
            "system::reserve_space", storage_amount=size, epochs_ahead=options["epochs"], payment=coin
        )
        blob = program.call(
            "system::register_blob",
            storage=storage,
            blob_id=int.from_bytes(blob_id, "little"),
            root_hash=int.from_bytes(root, "little"),
            size=options["size"],
            encoding_type=int(encoding),
            deletable=options.get("deletable", False),
            write_payment=coin,
        )
        program.transfer([blob], account.address)
        (made,) = [obj.object_id for obj in program.run().output_objects if obj.type.endswith("::blob::Blob")]
        self.blobs[label] = (made, blob_id)
        self.names |= {made: label, int.from_bytes(blob_id, "little"): label}

    def certifies(self, who: str, words: list[str]) -> None:
        object_id, blob_id = self.blobs[words[0]]
        blob = self.chain.value(object_id)
        persistence = messages.Deletable(object_id) if blob.deletable else messages.Permanent()
        message = messages.confirmation(blob_id, Epoch(self.chain.staking().epoch), persistence)
        certificate = self.chain.certificate(message, [self.nodes[name] for name in words[2:]])
        self.chain.call("system::certify_blob", sender=self.chain.account(who), blob=object_id, **certificate)

    def render(self, type_text: str, contents: bytes) -> str:
        event = self.chain.type_of(type_text).from_bcs(contents)
        shown = " ".join(f"{item.name}={self.show(getattr(event, item.name))}" for item in fields(event))
        return f"event {type(event).__name__} {shown}"

    def show(self, value: Any) -> str:
        if isinstance(value, list):
            return str(len(value))
        return (
            str(self.names.get(value, value)).lower() if isinstance(value, bool) else str(self.names.get(value, value))
        )

    def expect(self, wanted: dict[str, str]) -> None:
        found = {key: str(self.state(key)) for key in wanted}
        assert found == wanted

    def state(self, key: str) -> Any:
        """What ``expect`` can ask for."""
        head, _, name = key.partition(".")
        staking, system = self.chain.staking(), self.chain.system()
        if head == "fund":
            return system.future_accounting.ring_lookup(int(name)).rewards_to_distribute.value
        if head == "certified":
            return self.chain.value(self.blobs[name][0]).certified_epoch
        if head in {"shards", "weight", "rewards", "commission", "pool"}:
            node_id = self.nodes[name].node_id
            pool = self.chain.pool(node_id)
            return {
                "shards": lambda: len(staking.committee.get(node_id, [])),
                "weight": lambda: {m.node_id: m.weight for m in system.committee.members}.get(node_id, 0),
                "rewards": lambda: pool.rewards_pool.value,
                "commission": lambda: pool.commission.value,
                "pool": lambda: pool.wal_balance,
            }[head]()
        if head == "balance":
            return self.chain.balance(self.chain.account(name))
        info = self.chain.ledger.coin_info(self.chain.network.wal_type)
        assert info is not None
        return {
            "epoch": staking.epoch,
            "state": type(staking.epoch_state).__name__,
            "capacity": system.total_capacity_size,
            "used": system.used_capacity_size,
            "storage_price": system.storage_price_per_unit_size,
            "write_price": system.write_price_per_unit_size,
            "members": len(system.committee.members),
            "burned": 5_000_000_000 * FROST - info.total_supply,
        }[head]


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_story(path: Path) -> None:
    story = Story()
    lines = [line.split("#")[0].rstrip() for line in path.read_text(encoding="utf-8").splitlines()]
    told: list[str] = []
    happened: list[str] = []
    for line in filter(None, lines):
        told.append(line)
        if line.startswith(" "):
            continue
        happened.append(line)
        happened += [f"    {entry}" for entry in story.act(line)]
    assert happened == told


def test_there_are_stories() -> None:
    assert len(STORIES) >= 3

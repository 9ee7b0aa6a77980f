"""Runs the stories in ``contract/*.txt`` on a devnet and compares what happens with what they say.

A story is lines. ``#`` starts a comment. A line that is not indented acts or states:

    chain n_shards=100 encoding=rs2 epoch_duration=10m epoch_zero_duration=10s
    accounts n0 alice                      accounts with 1,000,000 SUI and WAL
    clock +10s                             moves the clock and closes a checkpoint
    n0 registers commission_rate=6000      makes n0 a candidate
    alice stakes 1000 with n0              whole WAL; ``as savings`` names the stake
    alice requests savings                 announces that a stake leaves
    alice withdraws savings                fetches it with its rewards
    n0 collects                            the commission of its pool
    bob gives 700 to n0                    FROST for the commission of its pool
    n0 votes slash n3                      bob slashes n3
    n0 votes upgrade v5                    bob upgrades v5, bob migrates; the label stands for the new code
    alice calls staking::voting_end        any public function; node=n0 stands for its capability
    alice stores cat size=1000 epochs=3    reserves and registers a blob called cat
    alice certifies cat by n0 n1 n2        with a certificate of these nodes
    alice reserves box size=1MiB ...       and all else about storage: `tests.scenarios.storage_verbs`
    epoch                                  a whole epoch: voting ends, the next one begins, all members attest
    expect epoch=1 shards.n0=25            states, see `Story.state`

Indented lines below an action are its trace, complete and in order: ``event Name field=value`` or ``abort module code``;
below ``epoch`` one line with the shards of each member. Objects and blobs appear under their names, lists of shards as
their number.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pytest
from tests.scenarios import storage_verbs

from walrus_codec import blob_id as blob_ids
from walrus_codec.params import CodeParams
from walrus_codec.types import BlobId, Epoch, ObjectId
from walrus_sui import messages
from walrus_sui.devnet.genesis import GenesisConfig
from walrus_sui.devnet.ledger.upgrades import package_digest
from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.testing import Chain, Handle, Node

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
    stakes_: dict[str, Handle] = field(default_factory=dict)
    paid: dict[str, int] = field(default_factory=dict)
    things: dict[str, ObjectId] = field(default_factory=dict)
    pooled: dict[str, str] = field(default_factory=dict)
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
        elif words[0] == "epoch":
            return self.epoch()
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
            "requests": self.requests,
            "withdraws": self.withdraws,
            "collects": self.collects,
            "gives": self.gives,
            "votes": self.votes,
            "slashes": self.slashes,
            "upgrades": self.upgrades,
            "migrates": self.migrates,
        }
        try:
            if words[1] in storage_verbs.VERBS:
                storage_verbs.VERBS[words[1]](self, words[0], words[2], pairs(words[3:]))
            else:
                verbs[words[1]](words[0], words[2:])
        except MoveAbort as aborted:
            return [f"abort {aborted.module} {aborted.code}"]
        events = [event for item in self.chain.ledger.pending() for event in item.events]
        return [self.render(event.type, event.contents) for event in events[seen:]]

    def registers(self, who: str, words: list[str]) -> None:
        options = {key: int(value) for key, value in pairs(words).items()}
        self.nodes[who] = self.chain.add_node(self.chain.account(who), **options)

    def stakes(self, who: str, words: list[str]) -> None:
        stake = self.chain.stake(self.chain.account(who), self.nodes[words[2]], int(words[0]) * FROST)
        self.stakes_[words[4] if len(words) > 4 else who] = stake

    def epoch(self) -> list[str]:
        number = self.chain.next_epoch()
        committee = self.chain.staking().committee
        shares = [f"{name}={len(committee[n.node_id])}" for name, n in self.nodes.items() if n.node_id in committee]
        return [f"epoch {number} " + " ".join(shares)]

    def requests(self, who: str, words: list[str]) -> None:
        stake = self.stakes_[words[0]]
        self.chain.call("staking::request_withdraw_stake", sender=self.chain.account(who), staked_wal=stake)

    def withdraws(self, who: str, words: list[str]) -> None:
        stake = self.stakes_[words[0]]
        coin = self.chain.call("staking::withdraw_stake", sender=self.chain.account(who), staked_wal=stake)
        self.paid[words[0]] = coin.balance.value

    def collects(self, who: str, _words: list[str]) -> None:
        node = self.nodes[who]
        arguments = {"node_id": node.node_id, "auth": node.cap_id}
        coin = self.chain.call("staking::collect_commission", sender=node.account, **arguments)
        self.paid[who] = coin.balance.value

    def gives(self, who: str, words: list[str]) -> None:
        wal = self.chain.network.wal_type
        program = self.chain.program(who)
        balance = program.call("coin::into_balance", coin=program.money(wal, int(words[0])), types=[wal])
        given = program.vector([balance], f"0x2::balance::Balance<{wal}>")
        program.call("staking::add_commission_to_pools", node_ids=[self.nodes[words[2]].node_id], commissions=given)
        program.run()

    def votes(self, who: str, words: list[str]) -> None:
        node, (matter, choice) = self.nodes[who], words
        if matter == "slash":
            function, arguments = (
                "slashing::vote_for_slashing",
                {
                    "voter_node_id": node.node_id,
                    "candidate_node_id": self.nodes[choice].node_id,
                },
            )
        else:
            digest = package_digest((choice.encode(),), ())
            self.names[digest] = choice
            function, arguments = "upgrade::vote_for_upgrade", {"node_id": node.node_id, "digest": digest}
        self.chain.call(function, sender=node.account, **arguments)

    def slashes(self, who: str, words: list[str]) -> None:
        candidate = self.nodes[words[0]].node_id
        self.chain.call("slashing::execute_slashing", sender=self.chain.account(who), candidate_node_id=candidate)

    def upgrades(self, who: str, words: list[str]) -> None:
        code = words[0].encode()
        program = self.chain.program(who)
        ticket = program.call("upgrade::authorize_upgrade", digest=package_digest((code,), ()))
        receipt = program.upgrade(ticket, (code,), package=self.upgrade_cap().package)
        program.call("upgrade::commit_upgrade", receipt=receipt)
        program.run()
        self.names[self.upgrade_cap().package] = words[0]

    def migrates(self, who: str, _words: list[str]) -> None:
        self.chain.call("init::migrate_v2", sender=self.chain.account(who), at=self.upgrade_cap().package)

    def upgrade_cap(self) -> Any:
        return self.chain.value(self.chain.network.upgrade_manager).cap

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
        if words[0] in self.pooled:
            function, place = "system::certify_pooled_blob", storage_verbs.in_pool(self, words[0])
        else:
            function, place = "system::certify_blob", {"blob": object_id}
        self.chain.call(function, sender=self.chain.account(who), **place, **certificate)

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
        if name and head in storage_verbs.STATES:
            return storage_verbs.STATES[head](self, name)
        staking, system = self.chain.staking(), self.chain.system()
        if head == "fund":
            return system.future_accounting.ring_lookup(int(name)).rewards_to_distribute.value
        if head == "certified":
            return self.chain.value(self.blobs[name][0]).certified_epoch
        if head == "paid":
            return self.paid[name]
        if head == "withdraw_epoch":
            return self.stakes_[name].state.withdraw_epoch
        if head in {"shards", "weight", "rewards", "commission", "commission_rate", "pool", "pool_shares"}:
            node_id = self.nodes[name].node_id
            pool = self.chain.pool(node_id)
            return {
                "shards": lambda: len(staking.committee.get(node_id, [])),
                "weight": lambda: {m.node_id: m.weight for m in system.committee.members}.get(node_id, 0),
                "rewards": lambda: pool.rewards_pool.value,
                "commission": lambda: pool.commission.value,
                "commission_rate": lambda: pool.commission_rate,
                "pool": lambda: pool.wal_balance,
                "pool_shares": lambda: pool.num_shares,
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
            "moved": sum(
                len(set(held) - set(staking.previous_committee.get(node_id, [])))
                for node_id, held in staking.committee.items()
            ),
            "version": self.chain.value(self.chain.network.staking).version,
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

"""Many clients at once, on the real engine and its disk: what comes out is what some serial order gives."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from walrus_sui.devnet.engine import Engine
from walrus_sui.devnet.genesis import GenesisConfig
from walrus_sui.devnet.ledger.records import (
    GAS_COIN,
    GasData,
    Input,
    MoveCall,
    NestedResult,
    ProgrammableTransaction,
    Pure,
    Rejected,
    Result,
    SharedObject,
    SplitCoins,
    TransactionData,
    TransferObjects,
)
from walrus_sui.devnet.storage.audit import audit
from walrus_sui.devnet.storage.schema import DATABASE
from walrus_sui.keys import SuiKey

GENESIS = GenesisConfig(seed="concurrency", n_shards=10)
FUNDS = 10**9
ACTIONS = ("swap", "send it twice", "spend it twice", "close a checkpoint")
CLIENTS = st.lists(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 3)), max_size=5), min_size=2, max_size=5)


class Client:
    """Swaps SUI for WAL at the exchange that all share, always paying with its one coin."""

    def __init__(self, engine, key):
        self.engine, self.key = engine, key
        self.answers, self.swapped = [], 0

    def _swap(self, coin, amount):
        known = self.engine.ledger.well_known
        first = self.engine.ledger.object(known.exchange).owner.initial_version
        inputs = (
            SharedObject(known.exchange, first, mutable=True),
            Pure(amount.to_bytes(8, "little")),
            Pure(bytes.fromhex(self.key.address[2:])),
        )
        split = SplitCoins(GAS_COIN, (Input(1),))
        call = MoveCall(
            known.exchange_package, "wal_exchange", "exchange_all_for_wal", (), (Input(0), NestedResult(0, 0))
        )
        commands = (split, call, TransferObjects((Result(1),), Input(2)))
        gas = GasData((coin.ref,), self.key.address, 1000, 50_000_000)
        tx_bytes = TransactionData(ProgrammableTransaction(inputs, commands), self.key.address, gas).to_bcs()
        return tx_bytes, (self.key.sign_transaction(tx_bytes),)

    async def run(self, script, coin_id):
        """Does what the script says; each action starts after so many turns of the loop."""
        for number, (action, turns) in enumerate(script):
            for _ in range(turns):
                await asyncio.sleep(0)
            if action == "close a checkpoint":
                await self.engine.close_checkpoint()
                continue
            coin = self.engine.ledger.object(coin_id)
            one, other = self._swap(coin, 100 + number), self._swap(coin, 200 + number)
            sent = {"swap": [one], "send it twice": [one, one], "spend it twice": [one, other]}[action]
            told = await asyncio.gather(*(self.engine.execute(*item) for item in sent), return_exceptions=True)
            executed = [item for item in told if not isinstance(item, BaseException)]
            assert all(isinstance(item, Rejected) for item in told if isinstance(item, BaseException))
            assert len({item.digest for item in executed}) == 1, "of one coin only one transaction may live"
            assert len(executed) == (1 if action == "spend it twice" else len(sent))
            assert executed[0].effects.succeeded, executed[0].effects.failure
            self.answers.append(executed[0])
            self.swapped += 100 + number if executed[0].tx_bytes == one[0] else 200 + number


async def story(scripts, folder):
    engine = await Engine.open(GENESIS, folder, clock=lambda: 1_700_000_000_000, interval_ms=10)
    try:
        clients = [Client(engine, SuiKey(bytes([number + 1]) * 32)) for number in range(len(scripts))]
        for client in clients:
            await engine.faucet(client.key.address, FUNDS)
        coins = [engine.ledger.owned_objects(client.key.address)[0].object_id for client in clients]
        await asyncio.gather(*(client.run(*item) for client, *item in zip(clients, scripts, coins, strict=True)))
        exchange = engine.ledger.well_known.exchange
        written = [
            change.after.version
            for client in clients
            for answer in client.answers
            for change in answer.effects.changed_objects
            if change.object_id == exchange
        ]
        assert len(set(written)) == len(written), "each swap wrote a version of its own"
        for client in clients:
            assert engine.ledger.balance(client.key.address, engine.ledger.well_known.wal_type) == client.swapped
        return [answer for client in clients for answer in client.answers]
    finally:
        await engine.stop()


@settings(max_examples=25)
@given(CLIENTS)
def test_concurrent_submission_equals_a_serial_order(scripts):
    with tempfile.TemporaryDirectory() as folder:
        answers = asyncio.run(story(scripts, Path(folder)))
        # The checkpoints' order, run again from genesis one by one, gives the same effects.
        report = audit(Path(folder) / DATABASE, replay=True)
    assert report.findings == []
    assert report.transactions >= len(answers)

"""What the chain says: committee, epoch, registrations, stakes, balances, through one `ChainClient` per network.

A client lives as long as its network's configuration answers. When reading fails the client is dropped and the
configuration is fetched again at the next look, so that a devnet that came back with other data is noticed as another
chain instead of failing for ever. The last good view stays, with its age.

What never changes (which pool an address registered) is asked once; balances are asked now and then, and at once after
money moved.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from opentelemetry.metrics import CallbackOptions, Observation

from walrus_codec.types import NodeId, SuiAddress
from walrus_operator.api.chain_view import ChainView, EpochPhase, RegisteredKeys, Seat
from walrus_operator.api.world import Observed, UnixSeconds
from walrus_sui import network_config
from walrus_sui.client import ChainClient
from walrus_sui.errors import WalrusSuiError
from walrus_sui.network_config import NetworkConfig
from walrus_sui.telemetry import meter, names
from walrus_sui.types import Committee, StakedWal
from walrus_sui.types import EpochPhase as ChainPhase

LOOK_TIMEOUT = 12.0
CALL_TIMEOUT = 5.0
MONEY_MAX_AGE = 30.0

_PHASES = {
    ChainPhase.SYNC: EpochPhase.SYNC,
    ChainPhase.DONE: EpochPhase.DONE,
    ChainPhase.PARAMS_SELECTED: EpochPhase.PARAMS_SELECTED,
}


@dataclass(frozen=True)
class ChainQuestions:
    """What a pass wants to know beyond the committee."""

    config_url: str
    node_addresses: tuple[SuiAddress, ...] = ()
    """Sui addresses of the nodes' keys."""
    rotating: tuple[SuiAddress, ...] = ()
    """Those of nodes that change their keys."""
    treasury: SuiAddress | None = None
    gateways: tuple[SuiAddress, ...] = ()


@dataclass
class _Memory:
    """What is known of one network's chain."""

    url: str = ""
    client: ChainClient | None = None
    config: NetworkConfig | None = None
    chain_id: str = ""
    registered: dict[SuiAddress, NodeId] = field(default_factory=dict)
    delegations: tuple[StakedWal, ...] = ()
    balances: dict[SuiAddress, tuple[int, int]] = field(default_factory=dict)
    money_at: float = 0.0
    last: Observed[ChainView] = field(default_factory=Observed)


class ChainObserver:
    """Reads the chains of all networks."""

    def __init__(self) -> None:
        self._memory: dict[str, _Memory] = {}
        meter().create_observable_gauge(
            names.OPERATOR_CHAIN_AGE, callbacks=[self._ages], unit="s", description="Age of the newest chain view."
        )

    def _ages(self, _options: CallbackOptions) -> Iterable[Observation]:
        for network, memory in self._memory.items():
            if memory.last.seen_at is not None:
                yield Observation(time.time() - memory.last.seen_at, {names.ATTR_NETWORK: network})

    async def look(self, network: str, questions: ChainQuestions) -> Observed[ChainView]:
        """The newest view, or the last good one with the reason why there is no newer.

        Args:
            network: namespace/name.
            questions: What to ask.
        """
        memory = self._memory.setdefault(network, _Memory())
        now = UnixSeconds(time.time())
        try:
            async with asyncio.timeout(LOOK_TIMEOUT):
                view = await self._read(memory, questions)
        except (WalrusSuiError, OSError, ValueError, RecursionError) as error:
            # The last two are what somebody else's configuration or chain is made of, which nobody has checked.
            await _drop(memory)
            reason = f"no answer within {LOOK_TIMEOUT:.0f} s" if isinstance(error, TimeoutError) else str(error)
            before = memory.last
            memory.last = Observed(before.value, before.seen_at, reason, before.failing_since or now)
        else:
            memory.last = Observed(view, UnixSeconds(time.time()))
        return memory.last

    def client(self, network: str) -> ChainClient | None:
        """The client of a network whose last look succeeded."""
        memory = self._memory.get(network)
        return memory.client if memory is not None and memory.last.error is None else None

    def faucet_url(self, network: str) -> str | None:
        """The faucet of a devnet."""
        memory = self._memory.get(network)
        return memory.config.faucet_url if memory is not None and memory.config is not None else None

    def money_moved(self, network: str) -> None:
        """Balances and stakes are stale: ask again at the next look."""
        memory = self._memory.get(network)
        if memory is not None:
            memory.money_at = 0.0

    async def forget(self, network: str) -> None:
        """Closes what belongs to a network that is gone."""
        memory = self._memory.pop(network, None)
        if memory is not None:
            await _drop(memory)

    async def close(self) -> None:
        """Closes all clients."""
        for network in list(self._memory):
            await self.forget(network)

    async def _read(self, memory: _Memory, questions: ChainQuestions) -> ChainView:
        client = await self._connected(memory, questions.config_url)
        config = memory.config
        if config is None:
            raise AssertionError("_connected sets it or raises")
        staking = await client.staking()
        system = await client.system()
        latest = await client.latest_checkpoint()
        await _registrations(memory, client, questions.node_addresses)
        await _money(memory, client, questions, frozen=staking.epoch > 0)
        state = staking.epoch_state
        waiting = staking.epoch == 0
        return ChainView(
            chain_id=memory.chain_id,
            checkpoint=latest.sequence,
            epoch=int(staking.epoch),
            phase=EpochPhase.WAITING if waiting else _PHASES[state.phase],
            change_done_at_ms=None if waiting or state.phase is ChainPhase.SYNC else state.since_ms,
            epoch_duration_ms=staking.epoch_duration_ms,
            n_shards=staking.n_shards,
            max_epochs_ahead=system.max_epochs_ahead,
            committee=_seats(staking.committee),
            previous_committee=_seats(staking.previous_committee),
            next_committee=_seats(staking.next_committee) if staking.next_committee is not None else (),
            storage_price=system.storage_price,
            write_price=system.write_price,
            total_capacity=system.total_capacity,
            system_object=config.system_object,
            staking_object=config.staking_object,
            registered=dict(memory.registered),
            keys=await _keys(memory, client, questions.rotating, staking.committee),
            delegations=memory.delegations,
            balances=dict(memory.balances),
        )

    async def _connected(self, memory: _Memory, url: str) -> ChainClient:
        if memory.client is not None and memory.url != url:
            await _drop(memory)
        if memory.client is None:
            config = await network_config.load(url, timeout=CALL_TIMEOUT)
            # What a pass has paid must be seen by the next one.
            client = ChainClient(config, timeout=CALL_TIMEOUT, until_checkpoint=True)
            try:
                chain_id = await client.chain_id()
            except BaseException:
                await client.close()
                raise
            if chain_id != memory.chain_id:
                # Another chain (or the first look): nothing that was learnt of the old one holds.
                memory.registered, memory.balances, memory.delegations, memory.money_at = {}, {}, (), 0.0
            memory.client, memory.config, memory.chain_id, memory.url = client, config, chain_id, url
        return memory.client


def _seats(committee: Committee) -> tuple[Seat, ...]:
    return tuple(
        Seat(member.node_id, member.name, tuple(member.shards), member.bls_public_key.hex())
        for member in committee.members
    )


async def _registrations(memory: _Memory, client: ChainClient, addresses: Iterable[SuiAddress]) -> None:
    unknown = [address for address in addresses if address not in memory.registered]
    answers = await asyncio.gather(*(client.node_caps(address) for address in unknown))
    for address, caps in zip(unknown, answers, strict=True):
        if caps:
            memory.registered[address] = caps[0].node_id


async def _keys(
    memory: _Memory, client: ChainClient, addresses: Iterable[SuiAddress], committee: Committee
) -> dict[NodeId, RegisteredKeys]:
    node_ids = [memory.registered[address] for address in addresses if address in memory.registered]
    found = {}
    for node_id, pool in (await client.pools(node_ids)).items():
        seat = committee.by_id(node_id)
        found[node_id] = RegisteredKeys(
            protocol=pool.bls_public_key.hex(),
            next_protocol=pool.next_bls_public_key.hex() if pool.next_bls_public_key is not None else None,
            in_committee=seat.bls_public_key.hex() if seat is not None else None,
            network=pool.network_public_key.hex(),
            further_network=tuple(key.hex() for key in pool.further_network_keys),
        )
    return found


async def _money(memory: _Memory, client: ChainClient, questions: ChainQuestions, *, frozen: bool) -> None:
    addresses = [*([questions.treasury] if questions.treasury else []), *questions.gateways]
    known = all(address in memory.balances for address in addresses)
    age = time.monotonic() - memory.money_at
    if memory.money_at and age < MONEY_MAX_AGE and known and (frozen or memory.delegations):
        return
    if questions.treasury is not None:
        memory.delegations = tuple(await client.stakes(questions.treasury))
    answers = await asyncio.gather(
        *(client.balance(address, token) for address in addresses for token in ("SUI", "WAL"))
    )
    memory.balances = {
        address: (int(answers[2 * index]), int(answers[2 * index + 1])) for index, address in enumerate(addresses)
    }
    memory.money_at = time.monotonic()


async def _drop(memory: _Memory) -> None:
    client, memory.client = memory.client, None
    if client is not None:
        with contextlib.suppress(Exception):  # a connection that failed may fail to close as well
            await client.close()

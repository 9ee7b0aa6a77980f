"""Registration, its upkeep, and whose data a directory holds."""

from dataclasses import replace

import pytest
from tests.unit.node.worlds import CAP, IDENTITY, US, ChainTwin, pool

from walrus_codec.types import Epoch, NodeId, ObjectId
from walrus_node.chain import ChainView
from walrus_node.config import ChainConfig, KeysConfig, NodeConfig, PublicConfig, RegistrationConfig
from walrus_node.errors import IdentityError
from walrus_node.key_files import NodeKeys
from walrus_node.keyring import KeyRing
from walrus_node.registration import Registrar
from walrus_node.store.records import Identity
from walrus_sui.errors import ChainUnreachable, FaucetError
from walrus_sui.keys import BlsKey, NetworkKey, SuiKey
from walrus_sui.types import FURTHER_KEYS_FIELD, EpochPhase, EpochState, NodeCap, NodeMetadata, VotingParams

KEYS = NodeKeys(protocol=BlsKey.generate(), network=NetworkKey.generate(), sui=SuiKey.generate())
CONFIG = NodeConfig(
    name="demo-0",
    data_dir="/data",
    keys=KeysConfig(protocol="p", network="n", sui="s"),
    chain=ChainConfig(network_config="http://devnet"),
    public=PublicConfig(host="demo-0.example"),
    registration=RegistrationConfig(commission_rate=5, storage_price=6, write_price=7, node_capacity=8),
)
OURS = NodeCap(CAP, US, Epoch(0), KEYS.sui.address)
GRPC = ("grpc_address", "demo-0.example:9187")


def ring(**following):
    return KeyRing(CONFIG.keys, replace(KEYS, **following), ChainView())


@pytest.fixture
def chain():
    return ChainTwin()


@pytest.fixture
def asked():
    return []


@pytest.fixture
def registrar(chain, asked):
    async def faucet(address):
        asked.append(address)

    return Registrar(chain=chain, config=CONFIG, ring=ring(), faucet=faucet)


async def test_a_new_node_registers_what_the_configuration_says(registrar, chain):
    assert await registrar.run_once(None) == IDENTITY
    (record,) = chain.updates
    assert record == {
        "name": "demo-0",
        "network_address": "demo-0.example:9185",
        "metadata": NodeMetadata(extra_fields=(GRPC,)),
        "bls_key": KEYS.protocol,
        "network_public_key": KEYS.network.public_key,
        "commission_rate": 5,
        "votes": VotingParams(6, 7, 8),
    }


async def test_a_registered_node_is_found_again(registrar, chain):
    chain.caps, chain.pools = [OURS], {US: pool(bls_public_key=KEYS.protocol.public_key)}
    assert await registrar.run_once(None) == IDENTITY
    assert await registrar.run_once(IDENTITY) == IDENTITY
    assert not chain.done("register_candidate")
    assert chain.done("update_node") == 2


async def test_a_protocol_key_that_takes_effect_next_epoch_is_ours_too(registrar, chain):
    chain.caps, chain.pools = [OURS], {US: pool(next_bls_public_key=KEYS.protocol.public_key)}
    assert await registrar.run_once(None) == IDENTITY


async def test_other_nodes_of_the_same_key_are_left_alone(registrar, chain):
    other = NodeCap(ObjectId("0x" + "11" * 32), NodeId("0x" + "22" * 32), Epoch(0), KEYS.sui.address)
    chain.caps, chain.pools = [other], {other.node_id: pool(bls_public_key=b"foreign")}
    assert await registrar.run_once(None) == IDENTITY
    assert chain.done("register_candidate") == 1


async def test_extra_fields_of_others_stay(registrar, chain):
    written = NodeMetadata("i", "p", "d", (("a", "1"), ("grpc_address", "old:1"), ("b", "2")))
    chain.caps = [OURS]
    chain.pools = {US: pool(bls_public_key=KEYS.protocol.public_key, metadata=written)}
    await registrar.run_once(None)
    assert chain.updates[0]["metadata"].extra_fields == (("a", "1"), GRPC, ("b", "2"))


async def test_gas_comes_from_the_faucet_when_it_is_low(registrar, chain, asked):
    await registrar.run_once(None)
    assert asked == []
    chain.mist = 10
    await registrar.run_once(IDENTITY) if chain.pools else None
    chain.pools = {US: pool()}
    await registrar.run_once(IDENTITY)
    assert asked[-1] == KEYS.sui.address


async def test_a_faucet_that_fails_is_an_outage(chain):
    async def faucet(address):
        raise FaucetError("rate limit")

    chain.mist = 0
    with pytest.raises(FaucetError):
        await Registrar(chain=chain, config=CONFIG, ring=ring(), faucet=faucet).run_once(None)
    assert not chain.done("register_candidate")


async def test_without_a_faucet_nobody_is_asked(chain):
    chain.mist = 0
    await Registrar(chain=chain, config=CONFIG, ring=ring(), faucet=None).run_once(None)
    assert not chain.done("balance")


async def test_data_of_another_chain_are_refused(registrar):
    with pytest.raises(IdentityError, match="belongs to chain old"):
        await registrar.run_once(replace(IDENTITY, chain_id="old"))


async def test_data_of_another_node_are_refused(registrar, chain):
    chain.caps, chain.pools = [OURS], {US: pool(bls_public_key=KEYS.protocol.public_key)}
    with pytest.raises(IdentityError, match="does not own its cap"):
        await registrar.run_once(Identity("chain", NodeId("0x" + "33" * 32), ObjectId("0x" + "44" * 32)))


async def test_an_outage_is_told(registrar, chain):
    chain.down = True
    with pytest.raises(ChainUnreachable):
        await registrar.run_once(None)


async def test_the_next_protocol_key_is_announced_once_and_not_while_the_next_committee_is_chosen(chain):
    following = BlsKey.generate()
    chain.caps, chain.pools = [OURS], {US: pool(bls_public_key=KEYS.protocol.public_key)}
    registrar = Registrar(chain=chain, config=CONFIG, ring=ring(next_protocol=following), faucet=None)
    chain.view = replace(chain.view, epoch_state=EpochState(EpochPhase.PARAMS_SELECTED))
    await registrar.run_once(IDENTITY)
    assert not chain.done("set_next_public_key")
    chain.view = replace(chain.view, epoch_state=EpochState(EpochPhase.SYNC))
    await registrar.run_once(IDENTITY)
    assert chain.updates[-1] == following
    for field in ("next_bls_public_key", "bls_public_key"):
        chain.pools = {US: pool(bls_public_key=b"old") if field.startswith("next") else pool()}
        chain.pools = {US: replace(chain.pools[US], **{field: following.public_key})}
        await registrar.run_once(IDENTITY)
    assert chain.done("set_next_public_key") == 1


async def test_a_node_without_data_is_found_by_the_key_that_is_to_take_over(chain):
    following = BlsKey.generate()
    chain.caps, chain.pools = [OURS], {US: pool(bls_public_key=following.public_key)}
    registrar = Registrar(chain=chain, config=CONFIG, ring=ring(next_protocol=following), faucet=None)
    assert await registrar.run_once(None) == IDENTITY
    assert not chain.done("register_candidate")


async def test_the_next_network_key_stands_beside_the_registered_one_first_and_is_shown_when_it_is_registered(chain):
    config = CONFIG.model_copy(update={"keys": CONFIG.keys.model_copy(update={"overlap_s": 1e-9})})
    old, new = KEYS.network.public_key, NetworkKey.generate()
    chain.caps = [OURS]
    chain.pools = {US: pool(bls_public_key=KEYS.protocol.public_key, network_public_key=old)}
    shown = []

    async def show(key):
        shown.append(key.public_key)

    registrar = Registrar(chain=chain, config=config, ring=ring(next_network=new), faucet=None, show=show)
    steps = []
    while not steps or registrar.changing_keys:
        await registrar.run_once(IDENTITY)
        record = chain.updates[-1]
        chain.pools[US] = replace(
            chain.pools[US], network_public_key=record["network_public_key"], metadata=record["metadata"]
        )
        steps.append((chain.pools[US].network_public_key, chain.pools[US].further_network_keys, shown[-1]))
    fresh = new.public_key
    # A look sees each step before the time for the next one runs.
    assert list(dict.fromkeys(steps)) == [
        (old, (fresh,), old),
        (fresh, (old,), old),
        (fresh, (old,), fresh),
        (fresh, (), fresh),
    ]
    assert GRPC in chain.pools[US].metadata.extra_fields


def test_further_network_keys_are_read_from_the_metadata_and_what_is_none_is_left_out():
    first, second, third = (bytes([2, *[number] * 32]) for number in range(3))

    def further(text):
        return pool(metadata=NodeMetadata(extra_fields=((FURTHER_KEYS_FIELD, text),))).further_network_keys

    assert further(f"{first.hex()},{second.hex()}") == (first, second)
    assert further(",".join(key.hex() for key in (first, second, third))) == (first, second)
    assert further(f"{first.hex()[2:]},{second.hex()}") == (second,)
    assert further("zz") == further("") == further("é,") == ()

"""The policy of an epoch from a file that changes under a running node."""

import json

import pytest
from tests.unit.node.challenge_worlds import Four

from walrus_client.challenges.policy import Mode, Policy
from walrus_client.challenges.schedule import Schedule
from walrus_client.challenges.verdicts import Verdict
from walrus_codec.types import Epoch
from walrus_node.challenges.policies import Policies

OWN = Policy(mode=Mode.REPORT)
TOLD = Policy(mode=Mode.VOTE, kept="0.8")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "challenges.json"


def policies(file, *, name="demo-0", node_mode=Mode.VOTE):
    return Policies(name=name, policy=OWN, node_mode=node_mode, file=file)


async def test_without_a_file_the_configuration_holds(file):
    assert await policies(None).at(Epoch(5)) == (OWN, Mode.VOTE)
    assert await policies(file).at(Epoch(5)) == (OWN, Mode.VOTE), "not there yet"
    assert policies(file).enabled
    assert not Policies(name="demo-0", policy=Policy(mode=Mode.OFF), node_mode=Mode.VOTE).enabled


async def test_the_file_is_read_anew_and_a_bad_one_changes_nothing(file):
    known = policies(file)
    file.write_text(Schedule(((Epoch(0), OWN), (Epoch(6), TOLD))).to_json())
    assert await known.at(Epoch(5)) == (OWN, Mode.VOTE)
    assert await known.at(Epoch(6)) == (TOLD, Mode.VOTE)
    for bad in ("{", json.dumps({"steps": []})):
        file.write_text(bad)
        assert await known.at(Epoch(7)) == (TOLD, Mode.VOTE)
    file.write_bytes(b"\xff")
    assert await known.at(Epoch(8)) == (TOLD, Mode.VOTE)
    file.unlink()
    assert await known.at(Epoch(9)) == (TOLD, Mode.VOTE)


@pytest.mark.parametrize(
    ("own", "told", "is_"),
    [
        (Mode.VOTE, Mode.REPORT, Mode.REPORT),
        (Mode.REPORT, Mode.VOTE, Mode.REPORT),
        (Mode.VOTE, Mode.OFF, Mode.OFF),
    ],
)
async def test_the_milder_of_configuration_and_file_is_what_a_node_does_at_most(file, own, told, is_):
    file.write_text(Schedule(((Epoch(0), TOLD),), nodes={"demo-0": told}).to_json())
    assert (await policies(file, node_mode=own).at(Epoch(4)))[1] is is_
    assert (await policies(file, name="demo-1", node_mode=own).at(Epoch(4)))[1] is own


async def test_nodes_follow_the_file_of_their_network(tmp_path, file):
    """Off by its configuration, all on in epoch 3 by the file, but for one that only reports and one that is off."""
    told = Schedule(
        ((Epoch(0), Policy(mode=Mode.VOTE, grace_ms=20_000)),), nodes={"node-1": Mode.REPORT, "node-2": Mode.OFF}
    )
    file.write_text(told.to_json())
    four = Four(tmp_path, policy=Policy(mode=Mode.OFF))
    for node in four.nodes:
        node.policies = Policies(name=f"node-{node.number}", policy=node.policy, node_mode=Mode.VOTE, file=file)
    try:
        await four.start()
        await four.nodes[3].lose(four.blobs[0])
        await four.attempts()
        for percent in (60, 65, 70, 80, 95):
            await four.at(percent)
        verdicts = await four.verdicts()
        failed = {pair for pair, (verdict, _reason) in verdicts.items() if verdict is Verdict.FAIL}
        assert failed == {(0, 3), (1, 3)}
        assert not any(challenger == 2 for challenger, _prover in verdicts)
        assert [voter for voter, _candidate in four.slashing.votes] == [four.nodes[0].node_id]
    finally:
        await four.close()

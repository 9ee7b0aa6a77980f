"""Each import rule of the project catches its violation: one import too many, added to the real import graph."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import grimp
import pytest
from importlinter.api import read_configuration
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.layers import LayersContract

ROOT = Path(__file__).parents[3]
OPTIONS = read_configuration(str(ROOT / "pyproject.toml"))
SESSION = OPTIONS["session_options"]
CONTRACTS = {entry["name"]: entry for entry in OPTIONS["contracts_options"]}
KINDS = {"forbidden": ForbiddenContract, "layers": LayersContract}

PROJECT, OPERATOR, NODE = "layers of the project", "layers inside the operator", "layers inside the node"
PURE = "pure rooms do no IO and read no clock"
PYSUI, KOPF, ROCKS, KUBE = (f"one door for {library}" for library in ("pysui", "kopf", "rocksdict", "kubernetes"))


@pytest.fixture(scope="module")
def graph() -> Any:
    return grimp.build_graph(*SESSION["root_packages"], include_external_packages=True, cache_dir=None)


def kept(name: str, graph: Any) -> bool:
    options = CONTRACTS[name]
    contract = KINDS[options["type"]](name=name, session_options=SESSION, contract_options=options)
    return bool(contract.check(deepcopy(graph), verbose=False).kept)


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_code_keeps_the_rule(graph: Any, name: str) -> None:
    assert kept(name, graph)


@pytest.mark.parametrize(
    ("name", "importer", "imported"),
    [
        (PROJECT, "walrus_operator.ctl.main", "walrus_node.config"),
        (PROJECT, "walrus_node.config", "walrus_operator.api.names"),
        (PROJECT, "walrus_client.rules", "walrus_node.config"),
        (PROJECT, "walrus_sui.errors", "walrus_client.errors"),
        (PROJECT, "walrus_codec.types", "walrus_sui.types"),
        (PROJECT, "walrus_codec.types", "walrus_proto.node.v1"),
        (OPERATOR, "walrus_operator.handlers.watching", "walrus_operator.runtime.queue"),
        (OPERATOR, "walrus_operator.ctl.main", "walrus_operator.runtime.queue"),
        (OPERATOR, "walrus_operator.apply.carry_out", "walrus_operator.handlers.watching"),
        (OPERATOR, "walrus_operator.observe.world", "walrus_operator.apply.drift"),
        (OPERATOR, "walrus_operator.plan.passes", "walrus_operator.observe.world"),
        (OPERATOR, "walrus_operator.build.nodes", "walrus_operator.plan.passes"),
        (OPERATOR, "walrus_operator.api.network", "walrus_operator.build.common"),
        (NODE, "walrus_node.rpc.service", "walrus_node.node"),
        (NODE, "walrus_node.epochs.driver", "walrus_node.rpc.model"),
        (NODE, "walrus_node.events.processor", "walrus_node.epochs.rules"),
        (NODE, "walrus_node.store.storage", "walrus_node.events.status"),
        (PURE, "walrus_codec.redstuff", "asyncio"),
        (PURE, "walrus_sui.devnet.ledger.ledger", "time"),
        (PURE, "walrus_sui.devnet.move.walrus.staking", "random"),
        (PURE, "walrus_operator.plan.passes", "grpc"),
        (PURE, "walrus_operator.build.nodes", "pathlib"),
        (PURE, "walrus_operator.api.world", "kopf"),
        (PURE, "walrus_client.rules", "socket"),
        (PURE, "walrus_node.epochs.rules", "time"),
        (PURE, "walrus_node.events.rules", "os"),
        # By way of a helper that is not pure.
        (PURE, "walrus_node.events.rules", "walrus_sui.client.transport"),
        (PYSUI, "walrus_sui.follower", "pysui"),
        (PYSUI, "walrus_client.treasury", "pysui"),
        (KOPF, "walrus_operator.apply.carry_out", "kopf"),
        (KOPF, "walrus_node.node", "kopf"),
        (ROCKS, "walrus_node.node", "rocksdict"),
        (ROCKS, "walrus_client.read.reader", "rocksdict"),
        (KUBE, "walrus_operator.plan.passes", "kubernetes"),
        (KUBE, "walrus_operator.runtime.reconciler", "kubernetes"),
        (KUBE, "walrus_operator.handlers.watching", "kubernetes"),
    ],
)  # fmt: skip
def test_a_violation_is_caught(graph: Any, name: str, importer: str, imported: str) -> None:
    assert importer in graph.modules
    wrong = deepcopy(graph)
    if imported not in wrong.modules:
        assert "." not in imported
        wrong.add_module(imported, is_squashed=True)
    wrong.add_import(importer=importer, imported=imported)
    assert not kept(name, wrong)


def test_every_module_of_rules_is_pure(graph: Any) -> None:
    """Also one that nobody has written yet."""
    assert {module for module in graph.modules if module.endswith(".rules")} >= {"walrus_client.rules"}
    for importer in ("walrus_client.newcomer.rules", "walrus_node.newcomer.rules", "walrus_operator.newcomer.rules"):
        wrong = deepcopy(graph)
        wrong.add_import(importer=importer, imported="time")
        assert not kept(PURE, wrong)

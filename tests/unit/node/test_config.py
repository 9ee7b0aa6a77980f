"""The configuration file: complete, strict, with messages that name the place."""

from pathlib import Path

import pytest
import yaml

from walrus_client.challenges.policy import Mode
from walrus_node import config as configs
from walrus_node import key_files
from walrus_node.config import KeysConfig
from walrus_node.errors import ConfigError
from walrus_sui.keys import BlsKey, NetworkKey, SuiKey

MINIMAL = {
    "name": "demo-0",
    "data_dir": "/var/lib/walrus",
    "keys": {"protocol": "/keys/protocol.key", "network": "/keys/network.key", "sui": "/keys/sui.key"},
    "chain": {"network_config": "http://demo-devnet:9123/v1/network-config"},
    "public": {"host": "demo-0.example"},
}


def load(tmp_path, document, **environment):
    path = tmp_path / "node.yaml"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return configs.load(path, environment)


def test_challenges_are_reported_unless_told_otherwise_and_wait_for_a_file_that_is_named(tmp_path):
    assert load(tmp_path, MINIMAL).challenges.policy().mode is Mode.REPORT
    told = {"challenges": {"network": "Vote", "policy_file": "/config/challenges.json"}}
    assert load(tmp_path, MINIMAL | told).challenges.policy().mode is Mode.OFF


def test_defaults_are_the_documented_ones(tmp_path):
    found = load(tmp_path, MINIMAL)
    assert (found.public.grpc_address, found.public.rest_address) == ("demo-0.example:9187", "demo-0.example:9185")
    assert (found.listen.host, found.listen.grpc_port, found.listen.http_port) == ("0.0.0.0", 9187, 9184)
    assert found.registration.commission_rate == 6000
    assert found.epoch_driver.enabled
    assert found.telemetry.log_format == "json"


def test_the_example_of_the_module_is_valid(tmp_path):
    example = configs.__doc__.split("default.\n", 1)[1]
    found = load(tmp_path, example)
    assert found.limits.grace_period_s == 20
    assert found.data_dir == Path("/var/lib/walrus")


def test_variables_are_replaced_everywhere(tmp_path):
    document = MINIMAL | {"name": "${POD_NAME}", "public": {"host": "${POD_NAME}.nodes.${NS}.svc"}}
    found = load(tmp_path, document, POD_NAME="demo-3", NS="walrus")
    assert (found.name, found.public.host) == ("demo-3", "demo-3.nodes.walrus.svc")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (MINIMAL | {"nmae": "x"}, "nmae: Extra inputs are not permitted"),
        ({key: value for key, value in MINIMAL.items() if key != "keys"}, "keys: Field required"),
        (MINIMAL | {"public": {"host": "h", "grpc_port": 0}}, "public.grpc_port"),
        (MINIMAL | {"registration": {"commission_rate": 10_001}}, "registration.commission_rate"),
        (MINIMAL | {"telemetry": {"log_format": "xml"}}, "telemetry.log_format"),
        (MINIMAL | {"name": "${NOBODY}"}, "NOBODY"),
        ("just text", "must hold a mapping"),
        ("{", "is not YAML"),
    ],
)
def test_mistakes_are_named(tmp_path, document, words):
    with pytest.raises(ConfigError, match=words.replace("$", r"\$")):
        load(tmp_path, document)


def test_every_mistake_is_named_at_once(tmp_path):
    with pytest.raises(ConfigError, match=r"a: .*; b: "):
        load(tmp_path, MINIMAL | {"a": 1, "b": 2})


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing\.yaml"):
        configs.load(tmp_path / "nothing.yaml")


def test_keys_are_loaded(tmp_path):
    made = {"protocol": BlsKey.generate(), "network": NetworkKey.generate(), "sui": SuiKey.generate()}
    for name, key in made.items():
        key.save(tmp_path / name)
    paths = KeysConfig(**{name: tmp_path / name for name in made})
    assert vars(key_files.load_keys(paths)) == made | {"next_protocol": None, "next_network": None}
    with pytest.raises(ConfigError, match="flag 0x04"):
        key_files.load_keys(paths.model_copy(update={"protocol": tmp_path / "sui"}))
    with pytest.raises(ConfigError, match="nowhere"):
        key_files.load_keys(paths.model_copy(update={"sui": tmp_path / "nowhere"}))

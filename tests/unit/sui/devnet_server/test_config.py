import pytest

from walrus_codec.types import EncodingType
from walrus_sui.devnet import config
from walrus_sui.devnet.config import ConfigError, parse


@pytest.mark.parametrize("document", [None, {}, {"seed": "x"}])
def test_everything_has_a_default(document):
    loaded = config.parse(document)
    assert loaded.genesis.n_shards == 100
    assert loaded.genesis.checkpoint_interval_ms == 250
    assert loaded.run.faucet_amount_sui == 1000
    assert loaded.run.telemetry.log_format == "json"


def test_both_parts_of_the_file_are_read(tmp_path):
    file = tmp_path / "devnet.yaml"
    file.write_text(
        "seed: demo\nn_shards: 13\nencoding: [rs2, isal]\nepoch_duration: 1m30s\ncheckpoint_interval_ms: 100\n"
        "faucet_amount_sui: 5\ntls_hosts: [a.b]\ntelemetry: {log_format: text, log_level: debug}\n"
    )
    loaded = config.load(file)
    assert loaded.genesis.encoding_types == (EncodingType.RS2, EncodingType.ISAL)
    assert (loaded.genesis.epoch_duration_ms, loaded.genesis.checkpoint_interval_ms) == (90_000, 100)
    assert (loaded.run.faucet_amount_sui, loaded.run.tls_hosts) == (5, ("a.b",))


@pytest.mark.parametrize(
    ("document", "word"),
    [
        ([], "names and values"),
        ({"seed": "x", "unknown": 1}, "unknown"),
        ({"n_shards": 11}, "n_shards"),
        ({"encoding": "none"}, "encoding"),
        ({"epoch_duration": "-3s"}, "epoch_duration"),
        ({"prefunded": [{"address": "nobody", "sui": 1}]}, "prefunded"),
        ({"checkpoint_interval_ms": "soon"}, "checkpoint_interval_ms"),
        ({"seed": "x", "checkpoint_interval_ms": 9}, "checkpoint_interval_ms"),
        ({"seed": "x", "checkpoint_interval_ms": 60_001}, "checkpoint_interval_ms"),
        ({"seed": "x", "faucet_amount_sui": 0}, "faucet_amount_sui"),
        ({"seed": "x", "tls_hosts": "one"}, "tls_hosts"),
        ({"seed": "x", "telemetry": {"log_level": "loud"}}, "telemetry.log_level"),
        ({"seed": "x", "telemetry": {"other": 1}}, "telemetry.other"),
    ],
)
def test_wrong_fields_are_named(document, word):
    with pytest.raises(ConfigError, match=word):
        config.parse(document)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a: [", b"x" * (config.MAX_FILE + 1)])
def test_files_that_are_no_configuration_are_refused(tmp_path, content):
    file = tmp_path / "devnet.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=str(file)):
        config.load(file)


def test_the_admin_token_comes_from_a_file(tmp_path):
    file = tmp_path / "token"
    file.write_text("0123456789abcdef\n")
    assert parse({"admin_token_file": str(file)}).run.admin_token() == "0123456789abcdef"
    assert parse({}).run.admin_token() is None
    for text, word in (("0123456789abcde", "15 characters, at least 16"), ("\u00e4" * 20, "admin_token_file")):
        file.write_text(text)
        with pytest.raises(ConfigError, match=word):
            parse({"admin_token_file": str(file)}).run.admin_token()
    with pytest.raises(ConfigError, match="absent"):
        parse({"admin_token_file": str(tmp_path / "absent")}).run.admin_token()


def test_a_manual_clock_needs_somebody_who_may_move_it(tmp_path):
    assert parse({"clock": "manual", "admin_token_file": str(tmp_path)}).run.clock == "manual"
    with pytest.raises(ConfigError, match="clock: a manual clock is moved by the admin interface"):
        parse({"clock": "manual"})
    with pytest.raises(ConfigError, match="clock"):
        parse({"clock": "sundial"})

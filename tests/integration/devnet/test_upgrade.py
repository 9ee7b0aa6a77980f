"""How an upgrade of the contract looks to those who ask the server."""

import pytest

from walrus_proto.sui.rpc.v2 import effects_pb2, move_package_service_pb2
from walrus_sui.devnet.genesis import GenesisConfig, faucet_key
from walrus_sui.devnet.ledger.digests import to_text
from walrus_sui.devnet.ledger.records import Result, Upgrade
from walrus_sui.devnet.ledger.upgrades import package_digest
from walrus_sui.keys import SuiKey

pytestmark = pytest.mark.timeout(120)

CODE = (b"new code",)


@pytest.fixture
def deployer():
    """The account that holds the emergency capability."""
    return SuiKey(faucet_key(GenesisConfig(seed="integration")).private_bytes_raw())


async def upgrade(devnet, client, tools, key, digest):
    """Tries to upgrade by the emergency capability to code with this digest."""
    first = devnet.network["walrus_package"]
    owned = await client.gas_coins_page(
        key.address, object_type=f"{first}::upgrade::EmergencyUpgradeCap", read_mask=["object_id", "version", "digest"]
    )
    shared = [
        await client.object(devnet.network[name], "object_id", "owner")
        for name in ("upgrade_manager", "staking_object", "system_object")
    ]
    program = tools.program()
    manager, staking, system = [program.shared(item) for item in shared]
    cap = program.owned(owned.objects[0])
    ticket = program.call(f"{first}::upgrade::authorize_emergency_upgrade", manager, cap, program.raw(digest))
    program.commands.append(Upgrade(CODE, (), first, ticket))
    program.call(f"{first}::upgrade::commit_upgrade", manager, staking, system, Result(1))
    coin = max(await client.gas_coins(key.address), key=lambda item: item.balance)
    return (await client.execute(program.build(key, coin), key, "effects")).effects


async def test_a_refused_and_a_made_upgrade(devnet, client, tools, deployer):
    first, digest = devnet.network["walrus_package"], package_digest(CODE, ())
    refused = (await upgrade(devnet, client, tools, deployer, bytes(32))).status
    errors = effects_pb2.PackageUpgradeError
    assert (refused.success, refused.error.kind) == (False, effects_pb2.ExecutionError.PACKAGE_UPGRADE_ERROR)
    assert refused.error.package_upgrade_error == errors(kind=errors.DIGEST_DOES_NOT_MATCH, digest=to_text(digest))
    assert refused.error.command == 1

    done = await upgrade(devnet, client, tools, deployer, digest)
    assert done.status.success
    written = effects_pb2.ChangedObject.OUTPUT_OBJECT_STATE_PACKAGE_WRITE
    (made,) = [item for item in done.changed_objects if item.output_state == written]
    assert (made.output_version, made.object_type) == (2, "package")

    request = move_package_service_pb2.GetPackageRequest(package_id=made.object_id)
    package = (await client.packages.GetPackage(request, timeout=30)).package
    assert (package.storage_id, package.original_id, package.version) == (made.object_id, first, 2)
    assert {origin.package_id for origin in package.type_origins} == {first}
    for asked in (first, made.object_id):
        listed = move_package_service_pb2.ListPackageVersionsRequest(package_id=asked)
        versions = (await client.packages.ListPackageVersions(listed, timeout=30)).versions
        assert [(item.package_id, item.version) for item in versions] == [(first, 1), (made.object_id, 2)]
    function = move_package_service_pb2.GetFunctionRequest(
        package_id=made.object_id, module_name="init", name="migrate_v2"
    )
    answer = (await client.packages.GetFunction(function, timeout=30)).function
    assert (answer.is_entry, len(answer.parameters)) == (True, 3)
    assert answer.parameters[0].body.type_name == f"{first}::staking::Staking"
    framework = move_package_service_pb2.ListPackageVersionsRequest(package_id="0x2")
    found = (await client.packages.ListPackageVersions(framework, timeout=30)).versions
    assert [(int(item.package_id, 16), item.version) for item in found] == [(2, 1)]

import subprocess
import sys


def test_pysui_is_imported_only_when_a_client_is_built() -> None:
    program = (
        "import sys, walrus_sui.client, walrus_sui.follower, walrus_sui.faucet, walrus_sui.abi.staking\n"
        "assert 'pysui' not in sys.modules and 'grpclib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)

"""Entry of a worker process: `python -m walrus_client.compute FD`."""

from walrus_client.compute.worker import main

main()

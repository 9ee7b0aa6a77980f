"""`python -m walrus_client.cli`."""

from walrus_client.cli import app

app()

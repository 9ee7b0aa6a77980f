"""The package ``walrus_subsidies``: a purse that tops up what the nodes of a Walrus network earn."""

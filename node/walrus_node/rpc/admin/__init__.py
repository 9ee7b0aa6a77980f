"""The admin port: what the operator asks of the node and tells it, for whoever holds a token."""

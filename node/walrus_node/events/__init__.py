"""What the events of the chain mean to a node."""

"""What the node does as epochs change, and what it does to make them change."""

"""Getting back what this node should hold and does not: slivers from symbols of other nodes."""

"""The door of the public face: who is let in while the node drains or is fenced, and who is inside."""

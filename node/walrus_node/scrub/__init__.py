"""Verifying what is stored against what it should be: in the background of a running node, and in a stopped node's folder."""

"""The pure core of Walrus: identities, quorum arithmetic, BCS, and the RedStuff code with its commitments.

Start reading at `redstuff` (what can be done with a blob), then `params` (all sizes) and `matrix` (how it is done).
No IO, no clock, no randomness: bytes in, bytes out.
"""

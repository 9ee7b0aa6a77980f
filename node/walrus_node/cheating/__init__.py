"""Makes a node cheat at challenges, for tests: shows that the others find it out, and that it harms nobody but itself.

Off unless the node was started with `--enable-faults FILE`. Life of an order: a test writes a line into the file (`orders`);
slivers are not there any more for whoever asks (`dropping`), answers to challenges deviate (`answering`, `fetching`), or
reports and votes do (`accusing`). `parts` puts these in the places of the honest parts. What lies on the disk is never
touched, so that a node whose line is gone is honest and whole again.
"""

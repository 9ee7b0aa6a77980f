"""The parts of the Move standard library (0x1) and the Sui framework (0x2) that Walrus and its clients need."""

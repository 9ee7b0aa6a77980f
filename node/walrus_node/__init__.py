"""The storage node: follows the chain, keeps slivers, signs for them, gives them back."""

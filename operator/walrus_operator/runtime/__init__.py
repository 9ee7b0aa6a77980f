"""When passes run, and who runs them: queue, Lease, permissions, health, and the process around them."""

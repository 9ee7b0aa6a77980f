"""walrusctl: the commands of `walrus_client.cli`, with the way to a gateway in Kubernetes, and `network`."""

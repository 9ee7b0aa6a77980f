"""The HTTP gateway: publisher and aggregator."""

"""kopf as the event engine: watches, and nothing else. Handlers only mark networks dirty; see `runtime.queue`."""

"""The faces of the node: gRPC for clients and peers, HTTP for probes and metrics."""

"""Every name that telemetry uses: metrics, attributes, services. Names are API: dashboards and alerts rest on them.

Names of gRPC, HTTP and Kubernetes signals are those of the OpenTelemetry semantic conventions (package
opentelemetry-semantic-conventions as locked); our own stand under the one prefix `walrus.`. Units are in the
instrument, not in the name, as OpenTelemetry wants; on the Prometheus page they become suffixes.
`walrus.blob.id` is for spans only, never for measurements: it has as many values as there are blobs.
"""

from typing import Final

SERVICE_DEVNET: Final = "walrus-devnet"
SERVICE_NODE: Final = "walrus-node"
SERVICE_GATEWAY: Final = "walrus-gateway"
SERVICE_OPERATOR: Final = "walrus-operator"

RPC_SYSTEM: Final = "rpc.system.name"
RPC_METHOD: Final = "rpc.method"
RPC_STATUS_CODE: Final = "rpc.response.status_code"
RPC_SERVER_DURATION: Final = "rpc.server.call.duration"
RPC_CLIENT_DURATION: Final = "rpc.client.call.duration"
SERVER_ADDRESS: Final = "server.address"

HTTP_METHOD: Final = "http.request.method"
HTTP_ROUTE: Final = "http.route"
HTTP_STATUS_CODE: Final = "http.response.status_code"
HTTP_SERVER_DURATION: Final = "http.server.request.duration"

ATTR_BLOB_ID: Final = "walrus.blob.id"
ATTR_BLOB_SIZE: Final = "walrus.blob.size"
ATTR_EPOCH: Final = "walrus.epoch"
ATTR_NODE_ID: Final = "walrus.node.id"
ATTR_NODE_NAME: Final = "walrus.node.name"
ATTR_NETWORK: Final = "walrus.network"
ATTR_SHARD: Final = "walrus.shard.id"
ATTR_AXIS: Final = "walrus.axis"
ATTR_REASON: Final = "walrus.reason"
ATTR_LANE: Final = "walrus.lane"
ATTR_OUTCOME: Final = "walrus.outcome"
ATTR_FUNCTION: Final = "walrus.chain.function"

CHAIN_TRANSACTIONS: Final = "walrus.chain.transactions"
CHAIN_TRANSACTION_DURATION: Final = "walrus.chain.transaction.duration"
CHAIN_CHECKPOINT_AGE: Final = "walrus.chain.checkpoint.age"

DEVNET_CHECKPOINTS: Final = "walrus.devnet.checkpoints"
DEVNET_TRANSACTIONS: Final = "walrus.devnet.transactions"
DEVNET_SUBSCRIBERS: Final = "walrus.devnet.subscribers"

NODE_EPOCH: Final = "walrus.node.epoch"
NODE_SHARDS: Final = "walrus.node.shards"
NODE_SLIVERS_STORED: Final = "walrus.node.slivers.stored"
NODE_METADATA_STORED: Final = "walrus.node.metadata.stored"
NODE_CONFIRMATIONS: Final = "walrus.node.confirmations"
NODE_REFUSALS: Final = "walrus.node.refusals"
NODE_SLOW_READERS: Final = "walrus.node.slow_readers"
NODE_BYTES_IN_FLIGHT: Final = "walrus.node.bytes_in_flight"
NODE_REQUESTS_WAITING: Final = "walrus.node.requests.waiting"
NODE_RECOVERY_PENDING: Final = "walrus.node.recovery.pending"
NODE_RECOVERY_BLOBS: Final = "walrus.node.recovery.blobs"
NODE_RECOVERY_SLIVERS: Final = "walrus.node.recovery.slivers"
NODE_RECOVERY_BYTES: Final = "walrus.node.recovery.fetched"
NODE_SYNC_PENDING: Final = "walrus.node.sync.pending"
NODE_SYNC_TRANSFERRED: Final = "walrus.node.sync.transferred"
NODE_SYNC_GIVEN_UP: Final = "walrus.node.sync.given_up"
NODE_SYNC_SLIVERS: Final = "walrus.node.sync.slivers"
NODE_SYNC_BYTES: Final = "walrus.node.sync.received"
NODE_SYNC_REJECTED: Final = "walrus.node.sync.rejected"
NODE_SYNC_METADATA: Final = "walrus.node.sync.metadata"
NODE_SYNC_FRACTION: Final = "walrus.node.sync.fraction"
NODE_COLLECTED_BLOBS: Final = "walrus.node.collected.blobs"
NODE_COLLECTED_BYTES: Final = "walrus.node.collected.bytes"
NODE_SCRUB_SLIVERS: Final = "walrus.node.scrub.slivers"
NODE_SCRUB_BYTES: Final = "walrus.node.scrub.bytes"
NODE_SCRUB_ROTTEN: Final = "walrus.node.scrub.rotten"
NODE_SCRUB_FRACTION: Final = "walrus.node.scrub.fraction"
NODE_EVENT_CURSOR: Final = "walrus.node.event.cursor"

CLIENT_STORE_DURATION: Final = "walrus.client.store.duration"
CLIENT_READ_DURATION: Final = "walrus.client.read.duration"
CLIENT_ENCODE_DURATION: Final = "walrus.client.encode.duration"
CLIENT_BYTES_IN_FLIGHT: Final = "walrus.client.bytes_in_flight"

OPERATOR_RECONCILE_DURATION: Final = "walrus.operator.reconcile.duration"
OPERATOR_RECONCILE_ERRORS: Final = "walrus.operator.reconcile.errors"
OPERATOR_API_WRITES: Final = "walrus.operator.api.writes"
OPERATOR_LEASE_HELD: Final = "walrus.operator.lease.held"
OPERATOR_QUEUE_DEPTH: Final = "walrus.operator.queue.depth"
OPERATOR_CHAIN_AGE: Final = "walrus.operator.chain.age"

#!/bin/bash
# Proves a cluster of this node image: applies app.yaml, runs the checks, removes it all again.
#   test/run.sh [--node-failure]      needs kubectl and KUBECONFIG; the last checks stop a worker for a minute, then all nodes
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
kubectl apply -f "$here/app.yaml"
trap 'kubectl delete -f "$here/app.yaml" --wait > /dev/null' EXIT
kubectl -n node-image-test rollout status sts/node --timeout 120s
"$here/check.sh"
"$here/policy.sh"
[ "${1:-}" = --node-failure ] || exit 0
"$here/node-failure.sh"
"$here/restart.sh"

#!/bin/bash
# Kills all nodes at once, as a machine does that is cut off, and starts them with the control plane last, so that it gets
# another address than before. The API server must answer again and the pods come back with their data.
set -euo pipefail
start=$(date +%s)
at() { echo "$(($(date +%s) - start)) s: $*"; }
control=$(kubectl get nodes -l node-role.kubernetes.io/control-plane -o jsonpath='{.items[0].metadata.name}')
mapfile -t workers < <(kubectl get nodes -l '!node-role.kubernetes.io/control-plane' -o jsonpath='{range .items[*]}{.metadata.name}{"\n"}{end}')
address() { docker inspect -f '{{.NetworkSettings.Networks.kind.IPAddress}}' "$control"; }
before=$(address)
boots=$(kubectl -n node-image-test exec node-1 -- wc -l /data/boots)
docker kill "$control" "${workers[@]}" > /dev/null
docker start "${workers[@]}" "$control" > /dev/null
at "all nodes are started; the control plane had $before and has $(address)"
server=$(docker port "$control" 6443)
kubectl config set-cluster "$(kubectl config view --minify -o jsonpath='{.contexts[0].context.cluster}')" --server "https://$server" > /dev/null
for _ in $(seq 120); do
    kubectl get --raw /readyz --request-timeout 5s > /dev/null 2>&1 && break
    sleep 0.5
done
kubectl get --raw /readyz --request-timeout 5s > /dev/null
at "the API server answers"
for _ in $(seq 240); do # until then the API server tells what was before
    now=$(kubectl -n node-image-test exec node-1 -- wc -l /data/boots 2> /dev/null || true)
    [ "${now%% *}" -gt "${boots%% *}" ] 2> /dev/null && break
    sleep 0.5
done
[ "${now%% *}" -gt "${boots%% *}" ]
kubectl -n node-image-test rollout status sts/node --timeout 120s > /dev/null
at "node-1 has booted ${now%% *} times, ${boots%% *} before"
for _ in $(seq 60); do
    kubectl -n node-image-test exec node-0 -- timeout 5 wget -qO- http://node-1.node:8080/name > /dev/null 2>&1 && break
    sleep 0.5
done
kubectl -n node-image-test exec node-0 -- timeout 5 wget -qO- http://node-1.node:8080/name && at "reached over the network"

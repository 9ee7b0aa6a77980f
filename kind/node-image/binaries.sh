#!/bin/bash
# Compiles what the node image runs and Debian does not have. Needs Go 1.25 and gcc.
#   ./binaries.sh FOLDER
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
bin=$(cd "$1" && pwd)
kube=$("$here/version")
version=k8s.io/component-base/version
minor=${kube#v1.}

# -buildvcs=false and -trimpath: the programs depend on nothing but the two modules.
export CGO_ENABLED=0 GOBIN=$bin GOFLAGS="-buildvcs=false -trimpath" GOWORK=off
echo "Kubernetes $kube and etcd"
(cd "$here/go/kubernetes" && go install -ldflags \
    "-s -w -X $version.gitVersion=$kube -X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*}" tool)
mv "$bin/server" "$bin/etcd"
echo "CoreDNS, volumes, pod network"
(cd "$here/go/addons" && go install -ldflags "-s -w" tool ./...)
echo "pause"
gcc -static -Os -s -o "$bin/pause" "$here/pause/pause.c"

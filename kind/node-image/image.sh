#!/bin/bash
# Makes the file system of the kind node image from Debian packages and from the programs of binaries.sh.
# Pulls nothing and needs no Docker. Needs root and mmdebstrap; busybox-static for the helper image.
#   ./image.sh PROGRAMS OUTPUT.tar.gz
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=$(cd "$1" && pwd)
output=$2
kube=$("$here/version")
work=$(mktemp -d "${TMPDIR:-/var/tmp}/kind-node-image.XXXXXX")
root=$work/root # file system of the node
images=$work/images
layer=$work/layer
lib=/usr/lib/$(gcc -print-multiarch)
importer=
cleanup() {
    [ -z "$importer" ] || kill "$importer" 2> /dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

echo "node file system"
"$here/../../scripts/debian-root" "$root" \
    systemd,systemd-sysv,containerd,runc,iptables,nftables,iproute2,ethtool,conntrack,kmod,procps,ca-certificates
tar -C "$here/node" --owner=0 --group=0 -c . | tar -C "$root" -x
install -t "$root/usr/bin" "$bin"/{kubeadm,kubelet,kubectl}
install -D -t "$root/opt/cni/bin" "$bin"/{host-local,loopback,portmap,ptp}
mkdir -p "$root/etc/kubernetes/manifests" "$root/etc/cni/net.d"
printf %s "$kube" > "$root/kind/version"
: > "$root/etc/machine-id"
chroot "$root" systemctl -q enable containerd.service kubelet.service
# Nothing here minds hardware, consoles, logins or package updates.
chroot "$root" systemctl -q mask \
    dpkg-db-backup.timer fstrim.timer console-getty.service getty.target systemd-logind.service \
    systemd-binfmt.service systemd-firstboot.service \
    systemd-update-utmp.service systemd-update-utmp-runlevel.service \
    proc-sys-fs-binfmt_misc.automount sys-fs-fuse-connections.mount \
    sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount

# --- cluster images: one program each, on nothing, in the format of `docker save` ------
echo "cluster images"
mkdir -p "$images"
entries=()
new_layer() { rm -rf "$layer" && mkdir -p "$layer"; }
add_image() { # NAME ENTRYPOINT; takes $layer
    local id
    tar -C "$layer" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$images/layer" .
    id=$(sha256sum "$images/layer" | cut -d' ' -f1)
    mv "$images/layer" "$images/$id.tar"
    printf '{"os":"linux","architecture":"%s","config":{"Entrypoint":["%s"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
        "$(dpkg --print-architecture)" "$2" "$id" > "$images/$id.json"
    entries+=("{\"Config\":\"$id.json\",\"RepoTags\":[\"$1\"],\"Layers\":[\"$id.tar\"]}")
}
program_image() { # NAME PROGRAM PATH-IN-THE-IMAGE
    new_layer
    install -D "$bin/$2" "$layer$3"
    add_image "$1" "$3"
}
firewall_image() { # NAME PROGRAM: with Debian's iptables (nft flavour) and nft
    local file name suffix
    new_layer
    install -D "$bin/$2" "$layer/usr/local/bin/$2"
    # iptables-restore fails as a whole when one of its modules lacks a library: theirs count too.
    for file in /usr/sbin/xtables-nft-multi /usr/sbin/nft $(chroot "$root" sh -c \
        "ldd /usr/sbin/xtables-nft-multi /usr/sbin/nft $lib/xtables/*.so" |
        sed -n 's/.*\s\(\/\S*\) (0x.*/\1/p' | sort -u); do
        install -D "$root$(chroot "$root" realpath "$file")" "$layer$file"
    done
    mkdir -p "$layer$lib" "$layer/run"
    cp -a "$root$lib/xtables" "$layer$lib/"
    for name in iptables ip6tables; do
        for suffix in "" -save -restore; do ln -s xtables-nft-multi "$layer/usr/sbin/$name$suffix"; done
    done
    add_image "$1" "/usr/local/bin/$2"
}
# The tags are those that kubeadm asks for; the programs' own versions are in go/*/go.mod.
for name in $("$bin/kubeadm" config images list --kubernetes-version "$kube"); do
    case $name in
        */kube-proxy:*) firewall_image "$name" kube-proxy ;;
        */kube-*) program=${name##*/} && program_image "$name" "${program%:*}" "/usr/local/bin/${program%:*}" ;;
        */etcd:*) program_image "$name" etcd /usr/local/bin/etcd ;;
        */coredns:*) program_image "$name" coredns /coredns ;;
        */pause:*) program_image "$name" pause /pause && pause=$name ;;
        *) echo "kubeadm asks for $name, which this recipe does not know" && exit 1 ;;
    esac
done
sed -i "s|@PAUSE@|$pause|" "$root/etc/containerd/config.toml"
program_image localhost/local-path-provisioner:dev local-path-provisioner /local-path-provisioner
firewall_image localhost/podnet:dev podnet
new_layer
install -D -t "$layer/bin" /bin/busybox
for applet in $(/bin/busybox --list | grep -vx busybox); do ln -s busybox "$layer/bin/$applet"; done
mkdir -m 1777 "$layer/tmp"
add_image localhost/busybox:dev /bin/busybox
(IFS=, && printf '[%s]' "${entries[*]}") > "$images/manifest.json"

echo "images into the node's containerd"
mkdir -p "$root/run/containerd"
unshare --mount sh -euc "
    for fs in proc sys dev; do mount --rbind /\$fs $root/\$fs; done
    exec chroot $root containerd" > "$work/containerd.log" 2>&1 &
importer=$!
ctr() { chroot "$root" ctr "$@"; }
for _ in $(seq 100); do
    if ctr version > "$work/ctr.log" 2>&1; then break; fi
    kill -0 "$importer" 2> /dev/null || { tail "$work/containerd.log" && exit 1; }
    sleep 0.2
done
tar -C "$images" -c . | ctr --namespace=k8s.io images import --no-unpack --digests - > "$work/ctr.log" 2>&1 ||
    { tail "$work/ctr.log" "$work/containerd.log" && exit 1; }
ctr --namespace=k8s.io images ls --quiet | grep -v -e @ -e ^sha256:
kill "$importer"
wait "$importer" || true
importer=
rm -rf "$root"/run/*

echo "archive"
tar -C "$root" -c . | gzip -1 > "$output.part"
mv "$output.part" "$output"

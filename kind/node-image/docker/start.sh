#!/bin/bash
# Starts Docker on a machine without systemd. Needs root and Debian's docker.io.
#   docker/start.sh [GROUP that may use the socket]
# Leaves the daemon's process id in /run/walrus-dockerd.pid, so that it is known whose it is.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
log=/var/log/walrus-dockerd.log
# Docker that finds forwarding off turns it on and drops everybody else's forwarded
# packets; four nodes with systemd and containerd use more than 128 inotify instances.
sysctl -q -w net.ipv4.ip_forward=1 fs.inotify.max_user_instances=1024 fs.inotify.max_user_watches=1048576
install "$here/runc-fewer-caps" /usr/local/sbin/
# What a machine that was cut off left behind: dockerd refuses to start while any process has the id in its file.
for file in /var/run/docker.pid /var/run/docker/containerd/containerd.pid; do
    [ ! -e "$file" ] || case $(cat "/proc/$(cat "$file")/comm" 2> /dev/null) in
        dockerd | containerd) ;;
        *) rm "$file" ;;
    esac
done
setsid dockerd --config-file "$here/daemon.json" --group "${1:-root}" > "$log" 2>&1 < /dev/null &
daemon=$!
echo "$daemon" > /run/walrus-dockerd.pid
for _ in $(seq 120); do
    if docker version > "$log.client" 2>&1; then
        echo "dockerd runs as process $daemon, log in $log"
        exit 0
    fi
    kill -0 "$daemon" 2> /dev/null || break
    sleep 0.5
done
tail "$log"
echo "dockerd did not come up; its log is $log"
exit 1

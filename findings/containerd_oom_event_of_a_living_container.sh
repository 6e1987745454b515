#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# containerd's event /tasks/oom names containers that the kernel killed nothing of: cgroup v1.
#
# One would think that /tasks/oom says in which container a process was killed: containerd's CRI
# makes the reason OOMKilled of it, which is what Kubernetes shows. Its shim listens to
# memory.oom_control of each container, and the kernel signals all that are below the cgroup whose
# limit was reached. So where a pod's limit is full, every container of the pod is called OOMKilled
# when it ends, whenever and of what it does.
#
# Seen with Debian's containerd 1.6.20~ds1-1+deb12u3 and runc 1.1.5+ds1-1+deb12u1, Linux 6.18:
#
#     /tasks/oom greedy
#     /tasks/oom idle
#     idle oom_kill 0 RUNNING
#
# (two containers below a cgroup with a limit of 32 MiB: greedy reaches it, idle sleeps.) Fails if
# that changes.
#
# Needs root, the memory controller of cgroup v1, apt-get, dpkg-deb, a static busybox
# (busybox-static) and debian-archive-keyring. Fetches 30 MB from $DEBIAN_MIRROR, by default the
# mirror of Debian that this machine's apt has; once Debian has moved on, its snapshots have that
# version.
set -eu
containerd=1.6.20~ds1-1+deb12u3 runc=1.1.5+ds1-1+deb12u1
# shellcheck disable=SC2016 # apt's own variables
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI) $(LABEL)' |
    sed -n 's/ Debian$//p' | sort -u | head -n 1)}
suite=${DEBIAN_SUITE:-bookworm}
hierarchy=/sys/fs/cgroup/memory
[ -e $hierarchy/memory.limit_in_bytes ] || {
    echo "$0: no memory controller of cgroup v1 at $hierarchy: boot with cgroup v1" >&2
    exit 3
}
work=$(mktemp -d)
cgroup=oomkill-finding-$$
daemon='' events=''
cleanup() {
    for each in idle greedy; do
        ctr tasks kill -s 9 $each || true
        ctr tasks rm -f $each || true
        ctr containers rm $each || true
    done > /dev/null 2>&1
    [ -z "$events" ] || kill "$events" || true
    [ -z "$daemon" ] || kill "$daemon" || true
    wait
    find /sys/fs/cgroup -depth -type d -path "*/$cgroup*" -exec rmdir {} +
    rm -rf "$work"
}
trap cleanup EXIT
ctr() {
    "$work/bin/usr/bin/ctr" -a "$work/socket" "$@"
}
cd "$work"

mkdir -p apt/lists/partial apt/cache/archives/partial apt/etc/preferences.d bin rootfs/bin
touch apt/status
echo "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" \
    > apt/etc/sources.list
get() {
    apt-get -qq -o Dir::State="$work/apt" -o Dir::State::status="$work/apt/status" \
        -o Dir::Cache="$work/apt/cache" -o Dir::Etc="$work/apt/etc" \
        -o Dir::Etc::SourceParts=/dev/null -o APT::Architecture=amd64 \
        -o APT::Sandbox::User= "$@"
}
get update
get download "containerd=$containerd" "runc=$runc"
for each in *.deb; do
    dpkg-deb -x "$each" bin
done
PATH=$work/bin/usr/bin:$work/bin/usr/sbin:$PATH

cp "$(command -v busybox)" rootfs/bin/busybox
for each in sh sleep tail; do
    ln -s busybox rootfs/bin/$each
done
cat > containerd.toml << EOF
version = 2
root = "$work/root"
state = "$work/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$work/socket"
EOF
containerd -c containerd.toml > log 2>&1 &
daemon=$!
tries=0
until ctr version > /dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || { cat log >&2; exit 1; }
    sleep 0.3
done

mkdir $hierarchy/$cgroup
echo 33554432 > $hierarchy/$cgroup/memory.limit_in_bytes
[ "$(cat $hierarchy/$cgroup/memory.limit_in_bytes)" = 33554432 ]
ctr events > events 2> /dev/null &
events=$!
ctr run -d --rootfs --cgroup /$cgroup/idle "$work/rootfs" idle /bin/sleep 600
ctr run -d --rootfs --cgroup /$cgroup/greedy "$work/rootfs" greedy \
    /bin/sh -c '/bin/sleep 3; exec /bin/tail /dev/zero'
tries=0
until grep -q '/tasks/exit .*"greedy"' events; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || { cat events >&2; exit 1; }
    sleep 0.3
done
sleep 2

{
    sed -n 's|.* /tasks/oom {"container_id":"\([a-z]*\)".*|/tasks/oom \1|p' events | sort -u
    echo "idle $(grep '^oom_kill ' $hierarchy/$cgroup/idle/memory.oom_control)" \
        "$(ctr tasks ls | awk '$1 == "idle" { print $3 }')"
} | tee seen
printf '%s\n' '/tasks/oom greedy' '/tasks/oom idle' 'idle oom_kill 0 RUNNING' | cmp -s - seen || {
    echo "not as it was: see the head of $0" >&2
    exit 1
}

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs in the guest as its first command: takes SHARE (a folder shared read-write with the host),
# KERNEL (its folder in the cache), CGROUP (v1, v2 or hybrid: v1 with v2 beside it) and FOLDERs of
# the host that the root does not hold, gives SHARE/.vm/status, the exit status of
# SHARE/.vm/command.
#
#   1. a new root: the host's / over 9p with a page cache, or that of another architecture,
#      writable through a RAM overlay
#   2. what a booted system has: cgroups with the memory controller, bpffs, tracefs, modules
#   3. the command, its output and its exit status into the share
set -eu
# On virtme-ng's root, 9p without a cache, every program is read anew: 0.5 s each under emulation.
# busybox from a RAM disk brings them all.
if ! [ -e /run/vm/busybox ]; then
    mkdir -p /run/vm
    cp /bin/busybox /run/vm/busybox
    exec /run/vm/busybox sh "$0" "$@"
fi
share=$1 kernel=$2 cgroup=$3
shift 3
release=$(uname -r)
new=/run/vm/root

# 1.
attach() {
    mount -t 9p -o ro,version=9p2000.L,trans=virtio,cache=loose,msize=512000,access=any "$1" "$2"
}
mkdir -p /run/vm/host /run/vm/ram
attach vmroot /run/vm/host
mount -t tmpfs -o mode=0755 ram /run/vm/ram
mkdir -p /run/vm/ram/upper /run/vm/ram/work "$new"
mount -t overlay -o lowerdir=/run/vm/host,upperdir=/run/vm/ram/upper,workdir=/run/vm/ram/work \
    root "$new"
for tree in proc sys dev; do
    mount --rbind "/$tree" "$new/$tree"
done
mount -t tmpfs -o mode=0755 run "$new/run"
number=0
for folder; do
    mkdir -p "$new$folder"
    attach "vm$number" "$new$folder"
    number=$((number + 1))
done
mkdir -p "$new/run/lock" "$new/run/old" "$new$share" "$new/lib/modules/$release" "$new/boot"
mount --bind /run/vm/share "$new$share"
mount --bind "$new$kernel/lib/modules/$release" "$new/lib/modules/$release"
cp "$new$kernel/boot/config-$release" "$new/boot/"
cd "$new"
# Not a chroot: user namespaces are refused in one, and /proc/1/root would differ from ours.
pivot_root . run/old
cd /
umount -l /run/old
rmdir /run/old

# 2.
mounted() {
    grep -q " $1 " /proc/mounts
}
mounted /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf
mounted /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
mounted /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing
if [ "$cgroup" != v2 ]; then
    if ! [ -e /sys/fs/cgroup/memory/memory.limit_in_bytes ]; then
        echo "guest-setup: kernel $release has no cgroup v1 memory controller" >&2
        exit 1
    fi
    echo 1 > /sys/fs/cgroup/memory/memory.use_hierarchy 2> /dev/null || true
    if [ "$cgroup" = hybrid ]; then
        mkdir -p /sys/fs/cgroup/unified
        mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
    fi
else
    for controller in cpu cpuset pids; do
        echo "+$controller" > /sys/fs/cgroup/cgroup.subtree_control 2> /dev/null || true
    done
    if grep -qw cgroup_disable=memory /proc/cmdline; then
        ! grep -qw memory /sys/fs/cgroup/cgroup.controllers
    else
        echo +memory > /sys/fs/cgroup/cgroup.subtree_control
        mkdir /sys/fs/cgroup/probe
        read -r limit < /sys/fs/cgroup/probe/memory.max
        [ "$limit" = max ]
        rmdir /sys/fs/cgroup/probe
    fi
fi
echo 0 > /proc/sys/kernel/dmesg_restrict
# Of memory that it may move to another node it takes the mapping away first, after a second of run
# time: a command line read at that moment is none. The nodes are there to be used up.
echo 0 > /proc/sys/kernel/numa_balancing 2> /dev/null || true
dmesg -n 1 # the log keeps everything, the console only what ends the guest

# 3.
export HOME=/root LANG=C.UTF-8 TERM=dumb
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cut -d' ' -f1 /proc/uptime > "$share/.vm/booted"
status=0
sh "$share/.vm/command" < /dev/null > "$share/.vm/output" 2>&1 || status=$?
dmesg > "$share/.vm/dmesg" || true
echo "$status" > "$share/.vm/status.part"
mv "$share/.vm/status.part" "$share/.vm/status"

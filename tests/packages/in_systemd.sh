#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs in a guest: boots the systemd of ROOT as PID 1 of namespaces of its own, starts our unit, has it
# see the kill of another unit, and prints what it finds as NAME=VALUE lines.
set -eu
root=$1
new=/run/booted

# ROOT is on the host and read-only.
mkdir -p /run/layer "$new"
mount -t tmpfs layer /run/layer
mkdir /run/layer/upper /run/layer/work
mount -t overlay -o "lowerdir=$root,upperdir=/run/layer/upper,workdir=/run/layer/work" root "$new"

ln -s /dev/null "$new/etc/systemd/system/getty.target"
unshare --mount --pid --fork sh -c '
	mount --make-rprivate /
	cd "$1"
	mount -t proc proc proc
	mount --rbind /sys sys
	mount --rbind /dev dev
	mount --bind /dev/null dev/console # whoever logs in there hangs up on this script
	mount -t tmpfs -o mode=0755 run run
	mkdir run/before
	pivot_root . run/before
	umount -l run/before
	exec env -i container=guest PATH=/usr/sbin:/usr/bin /lib/systemd/systemd
' sh "$new" </dev/null >/dev/null 2>&1 &
starter=$!

within() {
	nsenter --target "$init" --mount --pid env -i PATH=/usr/sbin:/usr/bin LC_ALL=C.UTF-8 "$@"
}
wait_for() { # SECONDS COMMAND...
	left=$1
	shift
	until "$@"; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || { echo "waited in vain: $*" >&2; return 1; }
		sleep 1
	done
}
has_init() {
	init=$(cat "/proc/$starter/task/$starter/children")
	init=${init% }
	[ -n "$init" ]
}
is_up() {
	case $(within systemctl is-system-running 2>/dev/null) in running | degraded) ;; *) return 1 ;; esac
}
state() { # UNIT PROPERTY...: their values
	unit=$1
	shift
	values=
	for property; do
		values="$values $(within systemctl show --value -p "$property" "$unit")"
	done
	echo "${values# }"
}
is_over() { # UNIT
	[ "$(state "$1" ActiveState)" = failed ]
}

wait_for 30 has_init
wait_for 240 is_up
echo "systemd=$(within systemctl --version | head -n 1)"

if ! within systemctl start container-oomkill; then
	within journalctl -o cat -u container-oomkill --no-pager
	exit 1
fi
echo "started=$(state container-oomkill ActiveState)"
pid=$(state container-oomkill MainPID)
within cat "/proc/$pid/status" | tr '\t' ' ' |
	sed -n 's/^\(Uid\|CapPrm\|CapEff\|CapAmb\|NoNewPrivs\|Seccomp\): */process.\1=/p'
echo "threads=$(within sh -c "cat /proc/$pid/task/*/status" | sed -n 's/^CapPrm:[[:space:]]*//p' | sort -u | tr '\n' ' ')"
echo "exposure=$(within systemd-analyze security --no-pager container-oomkill | sed -n 's/.*Overall exposure.*: \([0-9.]*\) .*/\1/p')"

within systemd-run --quiet --unit=leak -p MemoryMax=32M -p MemorySwapMax=0 \
	python3 -c 'kept = [b"x" * (1 << 20) for _ in range(100)]'
wait_for 60 is_over leak.service
echo "leak=$(state leak.service Result)"
fetch='import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1]).read().decode())'
echo "incidents=$(within python3 -c "$fetch" http://127.0.0.1:9262/api/v1/incidents | tr '\n' ' ')"

within systemctl restart container-oomkill
echo "restarted=$(state container-oomkill ActiveState)"
within systemctl stop container-oomkill
echo "stopped=$(state container-oomkill ActiveState Result NRestarts)"
echo "log=$(within journalctl -o cat -u container-oomkill --no-pager | tr '\n' '|')"

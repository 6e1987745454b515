#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Before removal (dpkg: remove; rpm: 0) and upgrade, which keeps what runs until the new one is there.
set -e

case "$1" in
remove | 0)
	if [ -d /run/systemd/system ]; then
		systemctl disable --now container-oomkill.service || :
	fi
	# Hooks of --pin would stay in the kernel, with nobody left to take them out.
	if [ -d /sys/fs/bpf/container-oomkill ]; then
		/usr/bin/container-oomkill unpin || :
	fi
	;;
1) exit 0 ;; # rpm upgrades: the new one's modules are compiled already
esac
find /usr/lib/container-oomkill -type d -name __pycache__ -prune -exec rm -rf {} +

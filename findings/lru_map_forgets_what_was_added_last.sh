#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A BPF map for the least recently used may be far from full and forget what was added last.
#
# BPF_MAP_TYPE_LRU_HASH with room for 128 entries is expected to keep 128, and to give up the oldest
# then. This kernel sets aside up to 128 free entries for each CPU that adds one. So the first CPU has
# them all; any other borrows one from it, and gives each entry that it adds the place of the one that
# it added before. With 2048 entries it is the 17th CPU's turn.
#
# Seen on Debian's 6.1.192-3 with two CPUs, booted by QEMU 10.0, each adding 64 entries in turn:
#
#     left of 64 by CPU 0: 64
#     left of 64 by CPU 1: 1
#
# (Debian's 6.12.118-1 keeps all of both.) Fails if that changes.
#
# Needs no root: apt-get, dpkg-deb, a static busybox (busybox-static), cc, libc6-dev,
# debian-archive-keyring and $QEMU (default: qemu-system-x86_64, of qemu-system-x86). Fetches 70 MB
# from $DEBIAN_MIRROR, by default the mirror of Debian's security updates that this machine's apt has;
# once Debian has moved on, its snapshots have that version.
set -eu
package=linux-image-6.1.0-57-amd64 version=6.1.192-3
# shellcheck disable=SC2016 # apt's own variables
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI) $(LABEL)' |
    sed -n 's/ Debian-Security$//p' | sort -u | head -n 1)}
suite=${DEBIAN_SUITE:-bookworm-security}
qemu=${QEMU:-qemu-system-x86_64}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

mkdir -p apt/lists/partial apt/cache/archives/partial apt/etc/preferences.d root/bin
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
get download "$package=$version"
dpkg-deb --fsys-tarfile "$package"_*.deb | tar -x --wildcards './boot/vmlinuz-*'

cat > fill.c << 'EOF'
/* Two CPUs in turn add ENTRIES keys to an LRU map of as many; tells whose are still there. */
#define _GNU_SOURCE
#include <linux/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 128

static long bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static long element(int command, int map, unsigned int *key)
{
	unsigned int value = 0;
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = map;
	attr.key = (unsigned long)key;
	attr.value = (unsigned long)&value;
	return bpf(command, &attr);
}

int main(void)
{
	int map, left[2] = { 0, 0 };
	union bpf_attr attr;
	cpu_set_t cpus;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_LRU_HASH;
	attr.key_size = attr.value_size = sizeof(int);
	attr.max_entries = ENTRIES;
	map = bpf(BPF_MAP_CREATE, &attr);
	for (unsigned int key = 0; key < ENTRIES; key++) {
		CPU_ZERO(&cpus);
		CPU_SET(key % 2, &cpus);
		if (sched_setaffinity(0, sizeof(cpus), &cpus) ||
		    element(BPF_MAP_UPDATE_ELEM, map, &key))
			perror("add");
	}
	for (unsigned int key = 0; key < ENTRIES; key++)
		left[key % 2] += !element(BPF_MAP_LOOKUP_ELEM, map, &key);
	printf("SEEN left of 64 by CPU 0: %d\nSEEN left of 64 by CPU 1: %d\n", left[0], left[1]);
	return 0;
}
EOF
cc -O1 -static fill.c -o root/bin/fill
cp "$(command -v busybox)" root/bin/busybox
cat > root/init << 'EOF'
#!/bin/busybox sh
echo
/bin/fill
/bin/busybox poweroff -f
EOF
chmod +x root/init
(cd root && find . | busybox cpio -o -H newc 2> /dev/null) > initramfs

timeout 300 "$qemu" -accel tcg -cpu qemu64 -smp 2 -m 512 -display none -no-reboot -serial stdio \
    -monitor none -kernel boot/vmlinuz-* -initrd initramfs -append "console=ttyS0 quiet panic=-1" \
    < /dev/null | tr -d '\r' > console
sed -n 's/^SEEN //p' console | tee seen
cat > expected << 'EOF'
left of 64 by CPU 0: 64
left of 64 by CPU 1: 1
EOF
diff expected seen

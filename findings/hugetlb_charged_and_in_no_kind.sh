#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What a cgroup's memory.stat tells need not add up to its memory.current: huge pages.
#
# Since Linux 6.7 the mount option memory_hugetlb_accounting has huge pages charged to their cgroup,
# and one would look for them in memory.stat. The line "hugetlb" came with 6.13 only: before, they
# are in memory.current and in no kind at all.
#
# Seen on Debian's 6.12.118-1, booted by QEMU 10.0:
#
#     memory.current 16932864
#     memory.stat hugetlb lines 0
#     anon+file+kernel+sock 4096
#
# (16 MiB of huge pages; first and last vary by some pages.) Fails if that changes.
#
# Needs no root: apt-get, dpkg-deb, a static busybox (busybox-static), debian-archive-keyring
# and $QEMU (default: qemu-system-x86_64, of qemu-system-x86). Fetches 100 MB from $DEBIAN_MIRROR, by
# default the mirror of Debian's security updates that this machine's apt has; once Debian has moved
# on, its snapshots have that version.
set -eu
package=linux-image-6.12.118+deb13-amd64 version=6.12.118-1
# shellcheck disable=SC2016 # apt's own variables
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI) $(LABEL)' |
    sed -n 's/ Debian-Security$//p' | sort -u | head -n 1)}
suite=${DEBIAN_SUITE:-trixie-security}
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

cp "$(command -v busybox)" root/bin/busybox
cat > root/init << 'EOF'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mkdir -p /proc /cgroup /huge
mount -t proc proc /proc
mount -t cgroup2 -o memory_hugetlb_accounting cgroup2 /cgroup
mount -t hugetlbfs -o pagesize=2M hugetlbfs /huge
echo 12 > /proc/sys/vm/nr_hugepages
echo +memory > /cgroup/cgroup.subtree_control
mkdir /cgroup/holder
sh -c 'echo $$ > /cgroup/holder/cgroup.procs; fallocate -l 16777216 /huge/file'
echo
echo "SEEN memory.current $(cat /cgroup/holder/memory.current)"
echo "SEEN memory.stat hugetlb lines $(grep -c '^hugetlb ' /cgroup/holder/memory.stat)"
awk '/^(anon|file|kernel|sock) / { kinds += $2 } END { print "SEEN anon+file+kernel+sock", kinds }' \
    /cgroup/holder/memory.stat
poweroff -f
EOF
chmod +x root/init
(cd root && find . | busybox cpio -o -H newc 2> /dev/null) > initramfs

timeout 300 "$qemu" -accel tcg -cpu qemu64 -m 512 -display none -no-reboot -serial stdio -monitor none \
    -kernel boot/vmlinuz-* -initrd initramfs -append "console=ttyS0 quiet panic=-1" < /dev/null \
    | tr -d '\r' > console
sed -n 's/^SEEN //p' console | tee seen
awk '
    $1 == "memory.current" { current = $2 }
    $2 == "hugetlb" { lines = $4 }
    $1 == "anon+file+kernel+sock" { kinds = $2 }
    END { exit !(NR == 3 && current >= 16777216 && lines == 0 && kinds < 4194304) }
' seen || {
    echo "not as it was: see the head of $0" >&2
    exit 1
}

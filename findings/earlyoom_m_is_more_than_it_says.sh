#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# earlyoom 1.8.2 -M SIZE does not act when less than SIZE is available, but later.
#
# Its manual: "-M SIZE: set available memory minimum to SIZE KiB"; one would think that it compares
# SIZE with MemAvailable. It makes a percentage of it, of MemTotal, and compares that with what is
# available of "user mem", which is smaller by what the kernel has to itself. In a guest with 1 GB,
# told to act at 80 MiB less than was available, it had not done so at 160 MiB less. earlyoom 1.7 had
# one total for both.
#
# Seen with Debian's earlyoom 1.8.2-1, -M of one per cent more than MemAvailable, --dryrun:
#
#     MemAvailable 22788292 KiB, -M 23016174: 93.24 % wanted, 95.34 % seen, not low
#     1.7: low
#
# (--dryrun, so nothing is killed.) Fails if that changes.
#
# Needs no root: apt-get, dpkg-deb, debian-archive-keyring, more than one per cent of memory in the
# kernel's hands. Fetches 10 MB of lists from $DEBIAN_MIRROR, by default the mirror of Debian that
# this machine's apt has; once Debian has moved on, its snapshots have these versions.
set -eu
# shellcheck disable=SC2016 # apt's own variables
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI) $(LABEL)' |
    sed -n 's/ Debian$//p' | sort -u | head -n 1)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# earlyoom VERSION SUITE: into a folder of that version
get() {
    mkdir -p "$1/lists/partial" "$1/cache/archives/partial" "$1/etc/preferences.d"
    touch "$1/status"
    echo "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $2 main" \
        > "$1/etc/sources.list"
    for what in update "download earlyoom=$1"; do
        # shellcheck disable=SC2086 # two words
        apt-get -qq -o Dir::State="$work/$1" -o Dir::State::status="$work/$1/status" \
            -o Dir::Cache="$work/$1/cache" -o Dir::Etc="$work/$1/etc" \
            -o Dir::Etc::SourceParts=/dev/null -o APT::Architecture=amd64 \
            -o APT::Sandbox::User= $what
    done
    dpkg-deb -x earlyoom_"$1"_amd64.deb "$1"
}

# VERSION: what it says in its first looks
said() {
    timeout 3 "$1/usr/bin/earlyoom" --dryrun -M "$least,$least" -r 1 2>&1 || true
}

get 1.8.2-1 trixie
get 1.7-1+b1 bookworm
available=$(awk '/^MemAvailable/ { print $2 }' /proc/meminfo)
least=$((available + available / 100))
new=$(said 1.8.2-1) old=$(said 1.7-1+b1)
wanted=$(echo "$new" | sed -n 's/.*SIGTERM when mem avail <= *\([0-9.]*\)%.*/\1/p')
seen=$(echo "$new" | sed -n 's/^mem avail:.*MiB (\([0-9.]*\)%), swap.*/\1/p' | head -n 1)
verdict='not low'
! echo "$new" | grep -q 'low memory' || verdict=low
echo "MemAvailable $available KiB, -M $least: $wanted % wanted, $seen % seen, $verdict"
[ "$verdict" = 'not low' ]
echo "$old" | grep -q 'low memory'
echo '1.7: low'

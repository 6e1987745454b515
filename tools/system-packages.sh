#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Takes what is to be done (build, wheels, test, bench, runtimes, cluster, browser, packages; arm64-guests, amd64-guests on a
# machine of the other architecture), installs the Debian or Ubuntu packages still missing for it.
set -eu

build="gcc libc6-dev clang llvm libbpf-dev libseccomp-dev python3-dev python3-venv"
test="$build busybox-static kmod file debian-archive-keyring clang-format openssl curl apache2-utils groff-base jq"
# What is there, from wherever, stays: docker.io beside docker-ce would remove it.
runtimes="docker.io:dockerd podman:podman containerd:containerd runc:runc iproute2:ip
	iptables:iptables debootstrap:debootstrap"
network="containernetworking-plugins:/usr/lib/cni/ptp"

browser="chromium fonts-dejavu-core"

case "${1-}" in
build) wanted=$build ;;
test) wanted=$test ;;
browser) wanted=$browser ;;
wheels) wanted="$build autoconf automake bzip2 debian-archive-keyring gperf libltdl-dev libtool make perl
	pkg-config unzip xz-utils" ;;
packages) wanted="debootstrap debian-archive-keyring binutils" ;;
bench) wanted="$test bpftrace bpfcc-tools" ;;
runtimes | cluster)
	[ "$1" = runtimes ] || runtimes="$runtimes $network"
	wanted=
	for each in $runtimes; do
		PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin command -v "${each#*:}" >/dev/null ||
			wanted="$wanted ${each%:*}"
	done
	case "$wanted" in
	# from trixie on a package of its own
	*docker.io*) ! apt-cache show docker-cli >/dev/null 2>&1 || wanted="$wanted docker-cli" ;;
	esac
	;;
arm64-guests | amd64-guests) wanted=qemu-user-static ;;
*) echo "usage: $0 build|wheels|test|bench|runtimes|cluster|browser|packages|ARCHITECTURE-guests" >&2; exit 2 ;;
esac

# Packages of daemons start them: not those that the tests start for themselves.
forbid_services() {
	policy=/usr/sbin/policy-rc.d
	[ ! -e $policy ] || $sudo mv $policy $policy.before-tests
	trap '$sudo rm -f $policy; [ ! -e $policy.before-tests ] || $sudo mv $policy.before-tests $policy' EXIT
	printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
	$sudo chmod 755 $policy
}

if ! command -v dpkg-query >/dev/null; then
	echo "no dpkg here: install the counterparts of" $wanted >&2
	exit 0
fi
missing=
for package in $wanted; do
	case "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" in
	installed) ;;
	*) missing="$missing $package" ;;
	esac
done
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
if [ -n "$missing" ]; then
	if [ -n "$sudo" ] && ! command -v sudo >/dev/null; then
		echo "installing needs root, and there is no sudo here: as root: apt-get install$missing" >&2
		exit 1
	fi
	step="$(dirname "$0")/step.sh"
	[ -z "$sudo" ] || sudo -v # asks for the password, if need be, before the first step
	"$step" "updating apt's lists" $sudo apt-get update -qq
	case "$1" in runtimes | cluster) forbid_services ;; esac
	"$step" "installing$missing" $sudo env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $missing
fi

# Prometheus for the tests, without the service that its package would start.
if [ "$1" = test ] && ! command -v prometheus >/dev/null && [ ! -x .venv/bin/prometheus ]; then
	echo "unpacking prometheus into .venv/bin"
	folder=$(mktemp -d)
	trap 'rm -rf "$folder"' EXIT
	# promtool is in the same package up to bookworm, in one of its own since trixie
	(cd "$folder" && for package in prometheus promtool; do
		apt-get download -qq "$package" 2>/dev/null || :
	done)
	for package in "$folder"/*.deb; do
		dpkg-deb --fsys-tarfile "$package" |
			tar -x -C .venv/bin --strip-components=3 --wildcards './usr/bin/prom*'
	done
fi

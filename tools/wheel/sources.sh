#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Downloads the sources that Debian has under each NAME, without Debian's changes: `sources.sh FOLDER
# NAME...`. By APT_MIRROR, or the Debian mirror of this machine's apt. The same of whatever this
# machine is; its lists stay as they are.
set -eu

folder=$1
shift
mirror=${APT_MIRROR:-$(cd "$(dirname "$0")/../.." && python3 -m tests.vm.mirror)}
apt=$(mktemp -d)
trap 'rm -rf "$apt"' EXIT
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] \
$mirror ${SUITE:-trixie} main" >"$apt/sources.list"

cd "$folder"
for action in update "source --download-only --tar-only $*"; do
	# shellcheck disable=SC2086 # words, several
	apt-get -qq -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=- \
		-o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root \
		-o Acquire::Retries=3 $action
done

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Takes what is being done, and the command that does it; says the one, runs the other, says how many
# seconds that took. The command's output is shown if it fails; V=1 shows it as it comes.
set -u

what=$1
shift
start=$(date +%s)
if [ -n "${V-}" ]; then
	echo "$what: $*"
	"$@"
	exit
fi
output=$(mktemp)
trap 'rm -f "$output"' EXIT
printf '%s ...' "$what"
"$@" >"$output" 2>&1
status=$?
if [ $status = 0 ]; then
	echo " $(($(date +%s) - start)) s"
else
	echo " failed"
	cat "$output" >&2
fi
exit $status

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fails with one line where no Go is that can build what is built here from Go modules. From 1.21 on it
# fetches the newer Go that a module asks for; before, the module's own files are its syntax errors.
set -u

found=$(go env GOVERSION 2>/dev/null)
minor=$(echo "$found" | sed -n 's/.*go1\.\([0-9]*\).*/\1/p')
[ "${minor:-0}" -lt 21 ] || exit 0
echo "install Go 1.21 or newer (Debian 12: golang-go of bookworm-backports); here is ${found:-none}" >&2
exit 1

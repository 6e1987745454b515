#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# After removal. What was recorded stays until dpkg is told to purge.
set -e

[ ! -d /run/systemd/system ] || systemctl daemon-reload || :
if [ "$1" = purge ]; then
	rm -rf /var/lib/container-oomkill /var/lib/private/container-oomkill
fi

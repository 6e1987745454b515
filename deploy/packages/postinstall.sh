#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# After installing, upgrading (dpkg: configure; rpm: 1, 2) and, by dpkg, for another Python
# (triggered). The service's user cannot write the compiled modules: without this, each start would
# compile them anew.
set -e

/usr/bin/python3 -I -m compileall -q /usr/lib/container-oomkill

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || :
	systemctl try-restart container-oomkill.service || :
fi

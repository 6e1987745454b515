#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Whoever starts a program by unshare --fork does not learn that it was OOM-killed: the status is 1.
#
# unshare waits for its child and means to end as the child did, so one expects 137 for SIGKILL, and
# gets 143 for SIGTERM. This version first sets SIGKILL's disposition, which no process may, takes
# that for an error and exits with 1: whoever asks the exit status for an OOM kill is told of none.
# (util-linux #2614, mended by #2617, which Debian 12 does not have.)
#
# Seen with Debian 12's util-linux 2.38.1-5+deb12u3:
#
#     SIGTERM 143
#     SIGKILL 1
#     unshare: sigprocmask unblock failed: Invalid argument
#
# Needs no root: apt-get with Debian 12's lists, dpkg-deb. Fails if that changes.
set -eu
package=util-linux version=2.38.1-5+deb12u3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq -o APT::Sandbox::User= download "$package=$version"
dpkg-deb -x ./*.deb .

killed_by() {
    ./usr/bin/unshare --fork sh -c "kill -$1 \$\$" 2> "said.$1" && status=0 || status=$?
    echo "SIG$1 $status"
}
{
    killed_by TERM
    killed_by KILL
    cat said.KILL
} | tee seen
cat > expected << 'EOF'
SIGTERM 143
SIGKILL 1
unshare: sigprocmask unblock failed: Invalid argument
EOF
diff expected seen

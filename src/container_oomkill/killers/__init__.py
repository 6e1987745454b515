# SPDX-License-Identifier: Apache-2.0
"""Who else kills: takes records of SIGKILL, gives a `Kill` with its cause in words.

attach.py loads what records them, beside the hooks of the OOM killer; decoder.py turns bytes into
the frozen `Kill` of model.py; cause.py says who sent it, and why as far as that tells.
"""

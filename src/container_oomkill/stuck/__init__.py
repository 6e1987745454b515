# SPDX-License-Identifier: Apache-2.0
"""Out of memory without a kill: takes records of what is stuck, gives a `Stuck` with its cause.

The flight recorder's walk records them (bpf/stuck.bpf.h). decoder.py turns bytes into the frozen
`Stuck` of model.py; killable.py looks whether anything could have been killed; cause.py says in
words what is so.
"""

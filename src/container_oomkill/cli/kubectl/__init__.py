# SPDX-License-Identifier: Apache-2.0
"""`kubectl oomkill`: what `container-oomkill show` is for one node, for a whole cluster.

kubectl runs a program named kubectl-oomkill for it; that is `main`.
"""

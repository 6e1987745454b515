# SPDX-License-Identifier: Apache-2.0
"""The kernel matrix: runs a command on every kernel of `kernels.toml`.

table (which kernels) -> packages (fetch them) -> guest (boot one, run a command)
-> matrix (run tests/kernel in each) -> report (one table).
"""

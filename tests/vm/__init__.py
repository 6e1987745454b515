# SPDX-License-Identifier: Apache-2.0
"""The kernel matrix: takes a command, gives its result on every kernel of `kernels.toml`.

table (which kernels) -> packages (fetch them) -> guest (boot one, run a command)
-> matrix (run tests/kernel in each) -> report (one table).
"""

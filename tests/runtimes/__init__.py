# SPDX-License-Identifier: Apache-2.0
"""Real kills by the running kernel, in cgroups of the test's own, judged by the kernel's log."""

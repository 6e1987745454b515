# SPDX-License-Identifier: Apache-2.0
"""container-oomkill: what the kernel's OOM killer did, and why."""

__version__ = "0.1.0"

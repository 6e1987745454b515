# SPDX-License-Identifier: Apache-2.0
"""What is out of memory without a kill."""

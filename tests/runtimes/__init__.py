# SPDX-License-Identifier: Apache-2.0
"""Real kills in containers of real runtimes: the record has the names that the runtime gave."""

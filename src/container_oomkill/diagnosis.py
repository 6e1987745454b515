# SPDX-License-Identifier: Apache-2.0
"""STUB by the lead, to be overwritten by the sinks engineer; keep explain(incident)."""
def explain(incident):
    return incident

# SPDX-License-Identifier: Apache-2.0
"""STUB by the lead, to be overwritten by the sinks engineer; keep open_sink(name, stream, colour)."""
import json
from dataclasses import asdict


def open_sink(name, stream, colour="auto"):
    def sink(i):
        stream.write(json.dumps(asdict(i)) + "\n")
        stream.flush()
    return sink

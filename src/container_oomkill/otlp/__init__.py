# SPDX-License-Identifier: Apache-2.0
"""Incidents as OpenTelemetry logs, by OTLP/HTTP with JSON: docs/otlp.md.

    settings    options, and the variables OTEL_EXPORTER_OTLP_*
    resource    who sends: the node and this process
    log_record  an incident as a LogRecord, by the semantic conventions
    request     records as the body of a request; what an answer says
    sender      the thread: batches, retries, splits

JSON by the standard library and no protobuf: opentelemetry-proto takes 1.7 MiB and 3.3 MB on disk
more for what gzip makes equally small, and every receiver of OTLP/HTTP takes both.
"""

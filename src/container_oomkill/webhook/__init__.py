# SPDX-License-Identifier: Apache-2.0
"""Incidents as webhooks: a chat, a pager, an Alertmanager, whatever takes JSON: docs/webhook.md.

config      the file of --webhook.config
template    JSON with ${FIELD} in its texts; the shipped ones are in assets/
fields      what a message may say
signed      the headers: CloudEvents, and Standard Webhooks' signature
grouping    one message for a container in a loop, with counts
sender      the thread: rates, retries
"""

# SPDX-License-Identifier: Apache-2.0
"""The incidents of a whole cluster: every exporter asked at once, through the API server.

    exporters   the pods of the DaemonSet: which node each is on, how it is reached
    answers     what one exporter answers, as far as it is looked at before it is chosen
    asking      requests to many exporters at once, within a time
    gather      the newest incidents of all of them, and who could not be asked

For `kubectl oomkill`. Part of the extra `container-oomkill[kubernetes]`.
"""

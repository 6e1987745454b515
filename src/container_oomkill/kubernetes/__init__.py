# SPDX-License-Identifier: Apache-2.0
"""The cluster's API: the names of this node's pods, and Events on them.

    access    where the API is and who we are; in a pod, from its service account
    kubeconfig, exec_plugin   the same from a kubeconfig, and from the plugin it may name
    api       one request, one response, bounded; one-line errors
    objects   the fields we read of a response, and no others
    owners    pod -> Deployment, CronJob, ...
    pods      names by container id and pod uid, including pods that are gone
    watch     list, watch, repeat: in a thread, never while a kill waits
    events    incidents -> Events on the victims' pods, in another thread
    survey    what the API answers, for doctor

Part of the extra `container-oomkill[kubernetes]`: urllib3 and msgspec are imported only here, after
attaching. The client on top of them is our own: lightkube, kr8s and kubernetes each take more
memory than all of it (docs/benchmarks.md, "What stays by hand"; `make bench` writes the figures),
and none of them notices a watch whose other end has vanished.
"""

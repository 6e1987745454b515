# SPDX-License-Identifier: Apache-2.0
"""Takes a cluster's API, gives the names of this node's pods, and their Events to it.

    access    where the API is and who we are: in a pod, or by a kubeconfig
    api       one request, one answer, bounded; errors in one line each
    objects   what is read of an answer, and nothing else
    backoff   how long to wait after a failure
    owners    pod -> Deployment, CronJob, ...
    pods      names by container id and pod uid, of pods that are gone too
    watch     list, watch, and again: a thread; nothing here is ever on a kill's way
    events    incidents -> Events on the victims' pods, by another thread
    survey    what the API says, for doctor

The extra `container-oomkill[kubernetes]`: urllib3 and msgspec are imported here only, after
attaching. The client on top of them is by hand: lightkube, kr8s and kubernetes each take more
memory than all of it (docs/benchmarks.md, "What stays by hand"; `make bench` writes the figures),
and none of them notices a watch whose other end has vanished.
"""

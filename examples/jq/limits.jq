# SPDX-License-Identifier: Apache-2.0
# jq -r -f: for each kill by a limit: the limit, what the killed processes held of their own, and whose.
# Where they held little, look at the rest before the limit is raised: files in tmpfs, a neighbour.
def mib: if . then . / 1048576 * 10 | round / 10 else null end;

(if type == "array" then .[] else . end)
| select(.domain.limit_bytes)
| [
    (.domain.limit_bytes | mib),
    ([.victims[].rss.anon_bytes // 0, .unlisted.rss.anon_bytes // 0] | add | mib),
    (.container.name // .domain.cgroup),
    .time[0:19]
  ]
| @tsv

# SPDX-License-Identifier: Apache-2.0
# jq -s -r -f: what leaks: growth in MiB an hour, hours from an empty limit to the next kill, and whose.
map(select(.before.shape == "leak" and .domain.limit_bytes))
| sort_by(-.before.growth_bytes_per_second)[]
| (.before.growth_bytes_per_second * 3600) as $hourly
| [
    ($hourly / 1048576 | round),
    (.domain.limit_bytes / $hourly * 10 | round / 10),
    (.container.name // .domain.cgroup)
  ]
| @tsv

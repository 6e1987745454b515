# SPDX-License-Identifier: Apache-2.0
# jq -s -r -f: how often each workload was killed, the most often first: kills, workload, scopes.
def whose: .container.workload // .container.service // .container.name // "(no container)";
def owner: if .container.namespace then "\(.container.namespace)/\(whose)" else whose end;

group_by(owner)
| map({kills: length, owner: (.[0] | owner), scopes: (map(.scope // "unknown") | unique | join(","))})
| sort_by(-.kills, .owner)[]
| [.kills, .owner, .scopes]
| @tsv

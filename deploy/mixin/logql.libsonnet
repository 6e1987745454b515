// SPDX-License-Identifier: Apache-2.0
// The dashboard's LogQL. Every query has the filters of all variables. Cluster and node are labels of
// Loki's streams; all else is structured metadata, in which Loki writes names with underscores.
function(config) {
  local queries = self,
  local metadata = ' | container_oomkill_kind="oom" | k8s_namespace_name=~"$namespace" | container_oomkill_workload=~"$workload"',

  datasource: { type: 'loki', uid: '${loki}' },

  node: [config.logClusterLabel, config.logNodeLabel],
  workload: ['k8s_namespace_name', 'container_oomkill_workload'],
  // container_name is of those outside of a pod.
  container: self.node + ['k8s_namespace_name', 'k8s_pod_name', 'k8s_container_name', 'container_name'],

  incidents: '{%s, %s=~"$cluster", %s=~"$node"}%s' % [
    config.logSelector,
    config.logClusterLabel,
    config.logNodeLabel,
    metadata,
  ],

  // How many in each window; `more`: filters.
  counted(window, more=''): 'count_over_time(%s%s [%s])' % [queries.incidents, more, window],

  by(labels, expression): 'sum by (%s) (%s)' % [std.join(', ', labels), expression],

  // Of the metrics.
  sum_by_node(expression): 'sum by (%s, %s) (%s)' % [config.clusterLabel, config.nodeLabel, expression],
}

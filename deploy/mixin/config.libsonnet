// SPDX-License-Identifier: Apache-2.0
{
  _config+:: {
    // Which targets are exporters; rules and dashboard look for this.
    selector: 'job="container-oomkill"',
    // Labels of the scrape, in the dashboard: the cluster, where one store has several, and the node.
    clusterLabel: 'cluster',
    nodeLabel: 'instance',
    // How finely the dashboard looks for past incidents: the scrape interval. Of several kills of
    // one container within it, a scrape sees the last.
    resolution: '30s',
    // Of the logs that Loki has: which streams, and their labels for the cluster and the node. These are
    // Loki's names for the resource's service.name, k8s.cluster.name and service.instance.id.
    logSelector: 'service_name="container-oomkill"',
    logClusterLabel: 'k8s_cluster_name',
    logNodeLabel: 'service_instance_id',
    dashboardUid: 'container-oomkill',
    dashboardTags: ['container-oomkill', 'oom'],
    // Where a link "Runbook" at the top of the dashboard leads; null: there is none, as the runbooks
    // are with the incidents' pages, which each incident links to.
    runbookUrl: null,
  },
}

// SPDX-License-Identifier: Apache-2.0
// The whole fleet by its OpenTelemetry logs in Loki: what was killed, where, how often, and the
// records themselves. Beside it, by the metrics, whether all of it has arrived.
local p = import 'panels.libsonnet';

{
  local config = $._config,
  local q = (import 'logql.libsonnet')(config),
  local cluster = config.clusterLabel,
  local node = config.nodeLabel,
  local exporter = '%s, %s=~"$cluster", %s=~"$node"' % [config.selector, cluster, node],

  // Loki has a query type where Prometheus has two switches, and no format.
  local ofLoki(panel) = panel {
    datasource: q.datasource,
    targets: [
      {
        datasource: q.datasource,
        editorMode: 'code',
        expr: each.expr,
        legendFormat: each.legendFormat,
        queryType: if each.instant then 'instant' else 'range',
        refId: each.refId,
      }
      for each in panel.targets
    ],
  },

  local overview = [
    ofLoki(p.stat(
      'Incidents',
      'Decisions of the OOM killer in the time range, of all clusters and nodes that are chosen.',
      [0, 0, 4, 4],
      ['sum(%s)' % q.counted('$__range')],
      { noValue: '0' },
      alarm=1,
    )),
    ofLoki(p.stat(
      'Containers hit',
      'How many different containers had an incident in the time range.',
      [4, 0, 4, 4],
      ['count(%s)' % q.by(q.container, q.counted('$__range'))],
      { noValue: '0' },
      alarm=1,
    )),
    ofLoki(p.stat(
      'Nodes with incidents',
      'How many nodes had an incident in the time range.',
      [8, 0, 4, 4],
      ['count(%s)' % q.by(q.node, q.counted('$__range'))],
      { noValue: '0' },
      alarm=1,
    )),
    ofLoki(p.stat(
      'Nodes out of memory',
      'Nodes on which the memory of the whole node ran out, or of a cpuset or memory policy: not the limit of a container.',
      [12, 0, 4, 4],
      ['count(%s)' % q.by(q.node, q.counted('$__range', ' | container_oomkill_scope=~"node|cpuset|mempolicy"'))],
      { noValue: '0' },
      alarm=1,
    )),
    p.stat(
      'Waiting',
      'By the metrics: incidents that nodes have not sent yet. They arrive once the receiver takes them.',
      [16, 0, 4, 4],
      ['sum(container_oomkill_queue_length{%s, queue="otlp"})' % exporter],
      { noValue: 'nobody sends' },
      alarm=100,
    ),
    p.stat(
      'Not sent',
      'By the metrics: incidents of the time range that no receiver took, or that had to go while it was away. They are missing here.',
      [20, 0, 4, 4],
      ['sum(round(increase(container_oomkill_unsent_incidents_total{%s, destination="otlp"}[$__range])))' % exporter],
      { noValue: 'nobody sends' },
      alarm=1,
    ),
    ofLoki(p.bars(
      'Incidents by what ran out',
      'Whose limit was reached: of the container, of its pod, of another cgroup, or the memory of the node.',
      [0, 4, 12, 8],
      [['{{container_oomkill_scope}}', q.by(['container_oomkill_scope'], q.counted('$__interval'))]],
      '1m',
    )),
    ofLoki(p.bars(
      'Incidents by namespace and workload',
      'The ten that had the most.',
      [12, 4, 12, 8],
      [[
        '{{k8s_namespace_name}} {{container_oomkill_workload}}',
        'topk(10, %s)' % q.by(q.workload, q.counted('$__interval')),
      ]],
      '1m',
    )),
    ofLoki(p.gauges(
      'Workloads with most incidents',
      'In the time range.',
      [0, 12, 8, 9],
      [['{{k8s_namespace_name}} {{container_oomkill_workload}}', 'topk(10, %s)' % q.by(q.workload, q.counted('$__range'))]],
    ) + p.unit('none')),
    ofLoki(p.gauges(
      'Fastest leaks',
      'How fast memory grew before, of what grew until its limit and never gave back; the fastest of each workload.',
      [8, 12, 8, 9],
      [[
        '{{k8s_namespace_name}} {{container_oomkill_workload}}',
        'topk(10, max by (%s) (max_over_time(%s | container_oomkill_shape="leak" | unwrap container_oomkill_growth_bytes_per_second | __error__="" [$__range])))' %
        [std.join(', ', q.workload), q.incidents],
      ]],
    ) + p.unit('binBps')),
    ofLoki(p.gauges(
      'Nodes with most incidents',
      'In the time range.',
      [16, 12, 8, 9],
      [['{{%s}} {{%s}}' % q.node, 'topk(10, %s)' % q.by(q.node, q.counted('$__range'))]],
    ) + p.unit('none')),
    ofLoki(p.panel(
      'logs',
      'The records',
      'Newest first: whose it was, and why. A click opens all attributes; container_oomkill_record is the whole record.',
      [0, 21, 24, 12],
      [p.target(q.incidents + ' |~ "(?i)$search"', instant=false)],
    ) + {
      options: {
        dedupStrategy: 'none',
        enableLogDetails: true,
        prettifyLogMessage: false,
        showCommonLabels: false,
        showLabels: false,
        showLogContextToggle: false,
        showTime: true,
        sortOrder: 'Descending',
        wrapLogMessage: true,
      },
    }),
    p.table(
      'Is all of it here? By the metrics',
      'Of each node, in the time range: incidents counted, sent, dropped, and requests that were tried again; and how many wait now. Sent is more than counted where some were sent twice, and where an earlier outage was made up for.',
      [0, 33, 24, 9],
      [
        q.sum_by_node('round(increase(container_oomkill_incidents_total{%s}[$__range]))' % exporter),
        q.sum_by_node('round(increase(container_oomkill_sent_incidents_total{%s, destination="otlp"}[$__range]))' % exporter),
        q.sum_by_node('container_oomkill_queue_length{%s, queue="otlp"}' % exporter),
        q.sum_by_node('round(increase(container_oomkill_unsent_incidents_total{%s, destination="otlp"}[$__range]))' % exporter),
        q.sum_by_node('round(increase(container_oomkill_send_retries_total{%s, destination="otlp"}[$__range]))' % exporter),
      ],
      [
        [cluster, 'cluster'],
        [node, 'node'],
        ['Value #A', 'incidents'],
        ['Value #B', 'sent'],
        ['Value #C', 'waiting'],
        ['Value #D', 'not sent'],
        ['Value #E', 'retries'],
      ],
      without=['Time'],
      sortBy=[{ displayName: 'incidents', desc: true }],
    ),
  ],

  local source(name, label, type) = {
    name: name,
    label: label,
    type: 'datasource',
    query: type,
    refresh: 1,
    hide: 0,
    includeAll: false,
    multi: false,
    options: [],
    regex: '',
    skipUrlSync: false,
  },

  local labels(name, label) = p.variable(name, name, '', {
    datasource: q.datasource,
    definition: '',
    query: { label: label, refId: name, stream: '{%s}' % config.logSelector, type: 1 },
  }),

  // Structured metadata has no list of values to choose from.
  local typed(name, label, default) = {
    name: name,
    label: label,
    type: 'textbox',
    query: default,
    current: { selected: true, text: default, value: default },
    hide: 0,
    options: [],
    skipUrlSync: false,
  },

  grafanaDashboards+:: {
    'container-oomkill-logs.json': {
      uid: config.dashboardUid + '-logs',
      title: 'OOM kills: the fleet, by its logs',
      description: "Every kill by the kernel's OOM killer, from all nodes and clusters, by OpenTelemetry in Loki.",
      tags: config.dashboardTags,
      schemaVersion: 41,
      version: 1,
      editable: true,
      graphTooltip: 1,
      refresh: '1m',
      time: { from: 'now-24h', to: 'now' },
      timezone: 'browser',
      fiscalYearStartMonth: 0,
      links: p.runbook(config.runbookUrl),
      annotations: { list: [] },
      templating: {
        list: [
          source('loki', 'logs', 'loki'),
          source('datasource', 'metrics', 'prometheus'),
          labels('cluster', config.logClusterLabel),
          labels('node', config.logNodeLabel),
          typed('namespace', 'namespace (a regular expression)', '.*'),
          typed('workload', 'workload (a regular expression)', '.*'),
          typed('search', 'text', ''),
        ],
      },
      panels: std.mapWithIndex(function(index, panel) panel { id: index + 1 }, overview),
    },
  },
}

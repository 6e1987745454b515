// SPDX-License-Identifier: Apache-2.0
// What is being killed, which incident to look at, and that incident.
local p = import 'panels.libsonnet';

{
  local config = $._config,
  local q = (import 'queries.libsonnet')(config),
  local cluster = config.clusterLabel,
  local node = config.nodeLabel,

  local nodeScopes = ', scope=~"node|cpuset|mempolicy"',
  local containers = [cluster, 'namespace', 'pod', 'container'],
  local known(metric) = '%s{%s}' % [metric, q.container],
  local by(labels, expression) = 'sum by (%s) (%s)' % [std.join(', ', labels), expression],
  local sumOrZero(expression) = '(sum(%s) or vector(0))' % expression,

  // This dashboard, with the same filters and another incident.
  local pick =
    '/d/%s?${__url_time_range}&${datasource:queryparam}&${cluster:queryparam}&${node:queryparam}&${namespace:queryparam}&${workload:queryparam}&var-incident=' %
    config.dashboardUid,

  local told = ['scope', 'command', 'trigger_command', 'shape'],

  local overview = [
    p.stat(
      'Incidents',
      'Decisions of the OOM killer in the time range. With memory.oom.group one may kill several processes.',
      [0, 0, 4, 4],
      ['sum(%s)' % q.counted_in_range()],
      { noValue: '0' },
      alarm=1,
    ),
    p.stat(
      'Containers hit',
      'How many different containers had an incident in the time range.',
      [4, 0, 4, 4],
      ['count(%s > 0)' % by(containers, q.counted_in_range())],
      { noValue: '0' },
      alarm=1,
    ),
    p.stat(
      'Nodes out of memory',
      'Nodes on which the memory of the whole node ran out, or of a cpuset or memory policy: not the limit of a container.',
      [8, 0, 4, 4],
      ['count(%s > 0)' % by([cluster, node], q.counted_in_range(nodeScopes))],
      { noValue: '0' },
      alarm=1,
    ),
    p.stat(
      'Since the last incident',
      'Of the time range; the last one is the first row of the table below.',
      [12, 0, 4, 4],
      ['time() - max(%s)' % q.incidents(known('container_oomkill_last_timestamp_seconds'), [])],
      { unit: 's', noValue: 'none in this range' },
    ),
    p.stat(
      'Nodes not watched',
      'Exporters that are down, or whose hooks are not attached: a kill there is not seen. `container-oomkill doctor` on that node says why.',
      [16, 0, 4, 4],
      ['count(up{%s}) - %s' % [q.exporter, '(count(container_oomkill_probe_info{%s}) or vector(0))' % q.exporter]],
      { noValue: 'no exporter' },
      alarm=1,
    ),
    p.stat(
      'Kills not recorded',
      'Records lost in the time range, kills that the kernel counted and the exporter did not see, and kills while no exporter ran. If it is 0, what is not here did not happen.',
      [20, 0, 4, 4],
      [
        std.join(' + ', [
          sumOrZero('round(increase(container_oomkill_lost_total{%s}[$__range]))' % q.exporter),
          sumOrZero('container_oomkill_unaccounted{%s}' % q.exporter),
          sumOrZero('container_oomkill_missed_while_down{%s}' % q.exporter),
        ]),
      ],
      alarm=1,
    ),
    p.bars(
      'Incidents by what ran out',
      'Whose limit was reached: of the container, of its pod, of another cgroup, or the memory of the node. One bar for each interval of the time range; bars add up.',
      [0, 4, 12, 8],
      [['{{scope}}', by(['scope'], q.counted_by_interval) + ' > 0']],
      '1m',
    ),
    p.bars(
      'Incidents by namespace and workload',
      'The ten that had the most. Without Kubernetes the workload is the service of Compose or Swarm, or the systemd unit.',
      [12, 4, 12, 8],
      [['{{namespace}} {{workload}}', 'topk(10, %s > 0)' % by(['namespace', 'workload'], q.counted_by_interval)]],
      '1m',
    ),
    p.table(
      'Incidents: pick one',
      'Newest first. A click on a container shows that incident below. Of several kills of one container between two scrapes, the last is here; the page of the exporter has them all. Before: what memory did up to the kill, and how fast it grew, where the flight recorder has it.',
      [0, 12, 24, 9],
      [
        q.incidents(known('container_oomkill_last_timestamp_seconds') + ' * 1000', told),
        q.incidents(known('container_oomkill_memory_limit_bytes'), told),
        q.incidents(known('container_oomkill_growth_bytes_per_second'), told),
      ],
      [
        ['Value #A', 'when'],
        [cluster, 'cluster'],
        ['namespace', 'namespace'],
        ['pod', 'pod'],
        ['container', 'container'],
        ['workload', 'workload'],
        ['scope', 'ran out'],
        ['Value #B', 'limit'],
        ['shape', 'before'],
        ['Value #C', 'growth'],
        ['command', 'killed'],
        ['trigger_command', 'asked by'],
        [node, 'node'],
        ['incident', 'incident'],
      ],
      without=['Time', 'job'],
      overrides=[
        p.override('when', { unit: 'dateTimeAsIso' }),
        p.override('limit', { unit: 'bytes' }),
        p.override('growth', { unit: 'binBps', decimals: 1 }),
        p.override('container', { links: [p.link('Show this incident', pick + '${__data.fields.incident}')] }),
      ],
      sortBy=[{ displayName: 'when', desc: true }],
    ),
  ],

  local picked = [
    p.row('The incident: ${incident:text}', 21),
    p.table(
      'Who, where, and its page',
      'Facts of the incident picked above or by the variable "incident". The page has the verdict, all processes and what to do next. It is linked if --web.external-url is set or Prometheus scrapes an address with a port.',
      [0, 22, 24, 4],
      [q.picked_info],
      [
        [cluster, 'cluster'],
        [node, 'node'],
        ['namespace', 'namespace'],
        ['pod_name', 'pod'],
        ['container_name', 'container'],
        ['workload', 'workload'],
        ['scope', 'ran out'],
        ['command', 'killed'],
        ['trigger_command', 'asked by'],
        ['shape', 'before'],
        ['image', 'image'],
        ['runtime', 'runtime'],
        ['url', 'page'],
        ['incident', 'incident'],
      ],
      without=['Time', 'Value', 'job', '__name__', 'pod', 'container', 'container_id', 'inferred'],
      overrides=[
        p.override('page', {
          links: [
            p.link("This incident on the exporter's page", '${__data.fields.url}/incidents/${__data.fields.incident}', true),
            p.link("What to do: the alert's runbook", '${__data.fields.url}/docs/runbooks/ContainerOomKilled.md', true),
            p.link('What each verdict means', '${__data.fields.url}/docs/verdicts.md', true),
          ],
        }),
      ],
    ),
    p.gauges(
      'Where the memory was',
      'Memory of the cgroup whose limit was reached (memory.stat), by kind; empty if the node ran out. Files are the page cache without tmpfs and shared memory; kernel memory includes stacks, page tables and slab. What the kinds do not account for is in none of the bars.',
      [0, 26, 10, 9],
      [
        ['anonymous', q.picked(known('container_oomkill_memory_anon_bytes'))],
        [
          'files',
          q.picked('(%s - %s)' % [
            known('container_oomkill_memory_file_bytes'),
            known('container_oomkill_memory_shmem_bytes'),
          ]),
        ],
        ['tmpfs, shared', q.picked(known('container_oomkill_memory_shmem_bytes'))],
        ['kernel', q.picked(known('container_oomkill_memory_kernel_bytes'))],
        ['sockets', q.picked(known('container_oomkill_memory_sock_bytes'))],
      ],
    ),
    p.gauges(
      'The killed process',
      'Memory of the process that the kernel chose. It may be little of what ran out: with several processes or a full tmpfs the memory is elsewhere.',
      [10, 26, 8, 9],
      [
        ['anonymous', q.picked(known('container_oomkill_rss_anon_bytes'))],
        ['files', q.picked(known('container_oomkill_rss_file_bytes'))],
        ['tmpfs, shared', q.picked(known('container_oomkill_rss_shmem_bytes'))],
        ['swap', q.picked(known('container_oomkill_swapents_bytes'))],
        ['page tables', q.picked(known('container_oomkill_pgtables_bytes'))],
      ],
    ),
    p.stat(
      'Numbers',
      'Usage and limit of the cgroup that ran out; peak, age and oom_score_adj of the killed process; how fast usage grew before, and for how long it was at its limit. What is unknown has no number.',
      [18, 26, 6, 9],
      [
        ['used', q.picked(known('container_oomkill_memory_usage_bytes'))],
        ['limit', q.picked(known('container_oomkill_memory_limit_bytes'))],
        ['peak of the process', q.picked(known('container_oomkill_hiwater_rss_bytes'))],
        ['growth', q.picked(known('container_oomkill_growth_bytes_per_second'))],
        ['at its limit for', q.picked(known('container_oomkill_at_limit_seconds'))],
        ['ran for', q.picked(known('container_oomkill_uptime_seconds'))],
        ['oom_score_adj', q.picked(known('container_oomkill_oom_score_adj'))],
      ],
      { unit: 'bytes', decimals: null },
      overrides=[
        p.override('growth', { unit: 'binBps' }),
        p.override('at its limit for', { unit: 's' }),
        p.override('ran for', { unit: 's' }),
        p.override('oom_score_adj', { unit: 'none' }),
      ],
    ),
  ],

  local exporters = p.row('The exporters', 35, true, [
    p.table(
      'Nodes that are watched',
      'The hook decides what a record can have: raw_tracepoint gives least. A node that is missing here is not watched.',
      [0, 36, 12, 8],
      [
        'container_oomkill_probe_info{%s} * on (%s, job, %s) group_left (version) container_oomkill_build_info{%s}' %
        [q.exporter, cluster, node, q.exporter],
      ],
      [[cluster, 'cluster'], [node, 'node'], ['hook', 'hook'], ['kernel', 'kernel'], ['version', 'version']],
      without=['Time', 'Value', 'job'],
    ),
    p.lines(
      'From the kill to /metrics',
      "Time from the kernel's decision until the incident is on /metrics: 99 % are faster.",
      [12, 36, 6, 8],
      [[
        '{{%s}}' % node,
        'histogram_quantile(0.99, sum by (%s, %s, le) (rate(container_oomkill_latency_seconds_bucket{%s}[$__rate_interval])))' %
        [cluster, node, q.exporter],
      ]],
      { unit: 's', min: 0 },
    ),
    p.lines(
      'Memory of the exporters',
      'Resident memory of each exporter.',
      [18, 36, 6, 8],
      [['{{%s}}' % node, 'process_resident_memory_bytes{%s}' % q.exporter]],
      { unit: 'bytes', min: 0 },
    ),
  ]),

  // Names in the list of incidents: namespace/pod/container and the id, newest first.
  local choices =
    local named =
      'label_join(%s, "who", "/", "namespace", "pod", "container")' %
      q.incidents(known('container_oomkill_last_timestamp_seconds'), []);
    'query_result(sort_desc(max by (incident, who) (label_replace(%s, "who", "$1", "who", "/*(.*)"))))' % named,

  local kills = '%s * 1000 * on (%s) group_left (incident, scope, command) container_oomkill_last_info{%s}' % [
    known('container_oomkill_last_timestamp_seconds'),
    std.join(', ', [cluster, 'job', node, 'namespace', 'pod', 'container']),
    q.workload,
  ],

  local values(metric, selector, label) = 'label_values(%s{%s}, %s)' % [metric, selector, label],
  local build = 'container_oomkill_build_info',
  local counter = 'container_oomkill_total',

  grafanaDashboards+:: {
    'container-oomkill.json': {
      uid: config.dashboardUid,
      title: 'OOM kills',
      description: "Every kill by the kernel's OOM killer: which container, which limit, where the memory was.",
      tags: config.dashboardTags,
      schemaVersion: 41,
      version: 1,
      editable: true,
      graphTooltip: 1,
      refresh: '30s',
      time: { from: 'now-6h', to: 'now' },
      timezone: 'browser',
      fiscalYearStartMonth: 0,
      links: p.runbook(config.runbookUrl),
      annotations: {
        list: [{
          name: 'OOM kills',
          datasource: p.datasource,
          enable: true,
          hide: false,
          iconColor: 'red',
          // The time of the kill, in milliseconds, wherever the step falls.
          useValueForTime: true,
          // As Grafana has it now, and as it had it up to version 11.
          target: {
            datasource: p.datasource,
            expr: kills,
            interval: '1m',
            refId: 'kills',
          },
          expr: kills,
          step: '1m',
          titleFormat: '{{command}} of {{container}}',
          textFormat: '{{namespace}} {{pod}}: {{scope}} ran out on {{%s}}. Incident {{incident}}' % node,
          tagKeys: 'namespace,scope',
        }],
      },
      templating: {
        list: [
          {
            name: 'datasource',
            label: 'data source',
            type: 'datasource',
            query: 'prometheus',
            refresh: 1,
            hide: 0,
            includeAll: false,
            multi: false,
            options: [],
            regex: '',
            skipUrlSync: false,
          },
          p.variable('cluster', 'cluster', values(build, config.selector, cluster)),
          p.variable('node', 'node', values(build, '%s, %s=~"$cluster"' % [config.selector, cluster], node)),
          p.variable('namespace', 'namespace', values(counter, q.exporter, 'namespace')),
          p.variable('workload', 'workload', values(counter, q.container, 'workload')),
          p.variable('incident', 'incident', choices, {
            multi: false,
            includeAll: false,
            allValue:: null,
            current:: null,
            sort: 0,
            regex: '/incident="(?<value>[^"]+)",who="(?<text>.*)"\\}/',
          }),
        ],
      },
      panels: std.mapWithIndex(
        function(index, panel) panel {
          id: index + 1,
          [if std.objectHas(panel, 'panels') then 'panels']: std.mapWithIndex(
            function(inside, each) each { id: 100 + inside },
            panel.panels,
          ),
        },
        overview + picked + [exporters],
      ),
    },
  },
}

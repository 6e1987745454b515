// SPDX-License-Identifier: Apache-2.0
// The dashboard's PromQL. Every query has the selectors of all variables that its metric knows.
function(config) {
  local cluster = config.clusterLabel,
  local node = config.nodeLabel,
  local container = [cluster, 'job', node, 'namespace', 'pod', 'container'],
  local list(labels) = std.join(', ', labels),

  // Selectors: of an exporter, of a container, of one whose workload is a label.
  exporter: '%s, %s=~"$cluster", %s=~"$node"' % [config.selector, cluster, node],
  container: self.exporter + ', namespace=~"$namespace"',
  workload: self.container + ', workload=~"$workload"',

  // Each incident of the range, whichever its container's last is now: `value`, an expression
  // about last kills, at the time when that incident was the last one.
  local during(expression) = '(%s)[$__range:%s]' % [expression, config.resolution],
  local info(more) = 'container_oomkill_last_info{%s}' % (self.workload + more),

  incidents(value, labels, more=''):
    'max_over_time(%s)' % during('%s * on (%s) group_left (%s) %s' % [
      value,
      list(container),
      list(['incident', 'workload'] + labels),
      info(more),
    ]),

  // The numbers of the incident that was picked, by metric.
  picked(expression):
    'last_over_time(%s)' % during('%s and on (%s) %s' % [
      expression,
      list(container),
      info(', incident="$incident"'),
    ]),

  // Facts of the picked incident, and its page where it is known how to get there: by
  // --web.external-url, else by the address that is scraped, if it is one.
  picked_info:
    local exporters = list([cluster, 'job', node]);
    local address =
      'label_replace(container_oomkill_build_info{%s}, "url", "http://$1", "%s", "(.+:[0-9]+)")' %
      [self.exporter, node];
    'last_over_time(%s)' % during('%s * on (%s) group_left (url) (container_oomkill_page_info{%s} or on (%s) %s)' % [
      info(', incident="$incident"'),
      exporters,
      self.exporter,
      exporters,
      address,
    ]),

  // How many incidents. A counter that begins with a kill hides that one from increase(), and of
  // several kills between two scrapes there is one last kill: the larger number is right.
  local each = list(container + ['workload', 'scope']),
  local larger(counted, window, more) = |||
    max by (%(each)s) (
      %(counted)s
      or label_replace(
        count by (%(each)s) (
          last_over_time(%(info)s[%(window)s])
          unless last_over_time(%(info)s[1h] offset %(window)s)
        ),
        "from", "last_info", "", ""
      )
    )
  ||| % { each: each, counted: counted, info: info(more), window: window },

  counted_in_range(more=''):
    larger(
      'round(increase(container_oomkill_incidents_total{%s}[$__range]))' % (self.workload + more),
      '$__range',
      more,
    ),

  // By interval without extrapolation: whole numbers, and neighbouring intervals add up.
  counted_by_interval:
    local counter = 'container_oomkill_incidents_total{%s}' % self.workload;
    larger('clamp_min(%s - %s offset $__interval, 0)' % [counter, counter], '$__interval', ''),
}

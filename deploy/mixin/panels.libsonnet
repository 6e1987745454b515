// SPDX-License-Identifier: Apache-2.0
// Panels, variables and queries as Grafana's schema has them, with all that it requires.
{
  local panels = self,
  local reduce = { calcs: ['lastNotNull'], fields: '', values: false },

  datasource: { type: 'prometheus', uid: '${datasource}' },

  target(expr, legend='__auto', instant=true, format='time_series', refId='A'): {
    datasource: panels.datasource,
    editorMode: 'code',
    expr: expr,
    legendFormat: legend,
    instant: instant,
    range: !instant,
    format: format,
    refId: refId,
  },

  // `targets`: expressions, or [legend, expression].
  local numbered(targets, instant, format='time_series') = std.mapWithIndex(
    function(index, each)
      local pair = if std.isArray(each) then each else ['__auto', each];
      panels.target(pair[1], pair[0], instant, format, std.char(65 + index)),
    targets,
  ),

  panel(type, title, description, place, targets): {
    type: type,
    title: title,
    description: description,
    gridPos: { x: place[0], y: place[1], w: place[2], h: place[3] },
    datasource: panels.datasource,
    targets: targets,
    fieldConfig: { defaults: {}, overrides: [] },
  },

  row(title, y, collapsed=false, inside=[]): {
    type: 'row',
    title: title,
    collapsed: collapsed,
    gridPos: { x: 0, y: y, w: 24, h: 1 },
    panels: inside,
  },

  stat(title, description, place, targets, defaults={}, alarm=null, overrides=[]):
    panels.panel('stat', title, description, place, numbered(targets, true)) + {
      fieldConfig: {
        defaults: { decimals: 0 } + defaults + if alarm == null then {} else {
          thresholds: {
            mode: 'absolute',
            steps: [{ color: 'green', value: null }, { color: 'red', value: alarm }],
          },
        },
        overrides: overrides,
      },
      options: {
        colorMode: if alarm == null then 'none' else 'value',
        graphMode: 'none',
        justifyMode: 'auto',
        orientation: 'auto',
        percentChangeColorMode: 'standard',
        reduceOptions: reduce,
        showPercentChange: false,
        textMode: 'auto',
        wideLayout: true,
      },
    },

  bars(title, description, place, targets, interval):
    panels.panel('timeseries', title, description, place, numbered(targets, false)) + {
      interval: interval,
      fieldConfig: {
        defaults: {
          decimals: 0,
          min: 0,
          custom: {
            drawStyle: 'bars',
            fillOpacity: 80,
            lineWidth: 0,
            stacking: { mode: 'normal', group: 'A' },
          },
        },
        overrides: [],
      },
      options: panels.legend,
    },

  lines(title, description, place, targets, defaults):
    panels.panel('timeseries', title, description, place, numbered(targets, false)) + {
      fieldConfig: { defaults: defaults, overrides: [] },
      options: panels.legend,
    },

  legend: {
    legend: { calcs: [], displayMode: 'list', placement: 'bottom', showLegend: true },
    tooltip: { mode: 'multi', sort: 'desc' },
  },

  gauges(title, description, place, targets):
    panels.panel('bargauge', title, description, place, numbered(targets, true)) + {
      fieldConfig: {
        defaults: { unit: 'bytes', min: 0, color: { mode: 'fixed', fixedColor: 'blue' } },
        overrides: [],
      },
      options: {
        displayMode: 'basic',
        legend: { calcs: [], displayMode: 'list', placement: 'bottom', showLegend: false },
        maxVizHeight: 300,
        minVizHeight: 16,
        minVizWidth: 8,
        namePlacement: 'auto',
        orientation: 'horizontal',
        reduceOptions: reduce,
        showUnfilled: true,
        sizing: 'auto',
        valueMode: 'color',
      },
    },

  unit(name): { fieldConfig+: { defaults+: { unit: name } } },

  // `columns`: [field, title] in their order; a field that is not among `fields` is left out.
  table(title, description, place, targets, columns, without=[], overrides=[], sortBy=[]):
    panels.panel('table', title, description, place, numbered(targets, true, 'table')) + {
      fieldConfig: { defaults: {}, overrides: overrides },
      options: { cellHeight: 'sm', frameIndex: 0, showHeader: true, sortBy: sortBy },
      transformations: [
        { id: 'merge', options: {} },
        {
          id: 'organize',
          options: {
            excludeByName: { [field]: true for field in without },
            indexByName: { [columns[index][0]]: index for index in std.range(0, std.length(columns) - 1) },
            renameByName: { [column[0]]: column[1] for column in columns if column[0] != column[1] },
          },
        },
      ],
    },

  override(field, properties): {
    matcher: { id: 'byName', options: field },
    properties: [{ id: id, value: properties[id] } for id in std.objectFields(properties)],
  },

  // At the top of a dashboard; none without an address.
  runbook(url): if url == null then [] else [{
    type: 'link',
    title: 'Runbook',
    tooltip: 'What each alert means and what to do',
    icon: 'doc',
    url: url,
    targetBlank: true,
    asDropdown: false,
    includeVars: false,
    keepTime: false,
    tags: [],
  }],

  link(title, url, blank=false): { title: title, url: url, targetBlank: blank },

  variable(name, label, query, extra={}): {
    name: name,
    label: label,
    type: 'query',
    datasource: panels.datasource,
    definition: query,
    query: { query: query, refId: name },
    refresh: 2,  // with the time range
    hide: 0,
    sort: 1,
    regex: '',
    skipUrlSync: false,
    options: [],
    multi: true,
    includeAll: true,
    allValue: '.*',
    current: { selected: true, text: ['All'], value: ['$__all'] },
  } + extra,
}

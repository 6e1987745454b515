// SPDX-License-Identifier: Apache-2.0
// The rules of deploy/prometheus, for the targets of the configuration.
local ours = 'job="container-oomkill"';

{
  local selector = $._config.selector,

  local adapted(rule) = rule {
    expr: std.strReplace(rule.expr, ours, selector),
  },

  local groups(kind) = [
    group { rules: [adapted(rule) for rule in group.rules if std.objectHas(rule, kind)] }
    for group in std.parseYaml(importstr '../prometheus/rules/container-oomkill.yml').groups
    if std.length([rule for rule in group.rules if std.objectHas(rule, kind)]) > 0
  ],

  prometheusAlerts+:: { groups+: groups('alert') },
  prometheusRules+:: { groups+: groups('record') },
}

// SPDX-License-Identifier: Apache-2.0
// A monitoring mixin: grafanaDashboards, prometheusAlerts, prometheusRules.
(import 'config.libsonnet') +
(import 'dashboard.libsonnet') +
(import 'logs.libsonnet') +
(import 'rules.libsonnet')

{{- /* SPDX-License-Identifier: Apache-2.0 */ -}}
{{- define "container-oomkill.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride }}
{{- else if contains $name .Release.Name -}}
{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- /* What asks or sends is in the image with the longer name. */ -}}
{{- define "container-oomkill.image" -}}
{{- $full := or .Values.kubernetes.names .Values.otlp.endpoint .Values.webhooks.secret -}}
{{- range tuple "HISTORY" "OTLP_ENDPOINT" "WEBHOOK_CONFIG" -}}
{{- $full = or $full (hasKey $.Values.options .) -}}
{{- end -}}
{{- range .Values.extraEnv -}}
{{- $full = or $full (hasPrefix "OTEL_EXPORTER_OTLP_" .name) -}}
{{- end -}}
{{ .Values.image.repository }}{{ if $full }}-full{{ end }}
{{- $digest := and $full .Values.image.fullDigest | default .Values.image.digest -}}
{{- if $digest }}@{{ $digest }}
{{- else }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- /* NAME=VALUE,... as OpenTelemetry's variables have them. */ -}}
{{- define "container-oomkill.pairs" -}}
{{- $pairs := list -}}
{{- range $name, $value := . -}}
{{- $pairs = append $pairs (printf "%s=%s" $name $value) -}}
{{- end -}}
{{- join "," $pairs -}}
{{- end -}}

{{- /* Of http://HOST:PORT/PATH: the port, or the one of its scheme. */ -}}
{{- define "container-oomkill.port" -}}
{{- $url := urlParse . -}}
{{- regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (eq $url.scheme "https" | ternary "443" "80") -}}
{{- end -}}

{{- define "container-oomkill.selector" -}}
app.kubernetes.io/name: container-oomkill
{{- end -}}

{{- define "container-oomkill.labels" -}}
{{ include "container-oomkill.selector" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- /* Labels come last: a template may go on with more of them. */ -}}
{{- define "container-oomkill.metadata" -}}
name: {{ include "container-oomkill.fullname" . }}
labels:
  {{- include "container-oomkill.labels" . | nindent 2 }}
{{- end -}}

{{- define "container-oomkill.namespaced" -}}
namespace: {{ .Release.Namespace }}
{{ include "container-oomkill.metadata" . }}
{{- end -}}

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
{{- $full := or .Values.kubernetes.names (hasKey .Values.options "HISTORY") (hasKey .Values.options "OTLP_ENDPOINT") (hasKey .Values.options "WEBHOOK_CONFIG") -}}
{{ .Values.image.repository }}{{ if $full }}-full{{ end }}
{{- $digest := and $full .Values.image.fullDigest | default .Values.image.digest -}}
{{- if $digest }}@{{ $digest }}
{{- else }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
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

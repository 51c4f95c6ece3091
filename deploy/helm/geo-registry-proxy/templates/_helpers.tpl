{{- define "proxy.name" -}}
{{- if contains "geo-registry-proxy" .Release.Name }}{{ .Release.Name | trunc 53 | trimSuffix "-" }}{{ else }}{{ printf "%s-geo-registry-proxy" (.Release.Name | trunc 34 | trimSuffix "-") }}{{ end }}
{{- end }}

{{- define "proxy.selector" -}}
app.kubernetes.io/name: geo-registry-proxy
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "proxy.labels" -}}
{{ include "proxy.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "proxy.adminSecret" -}}
{{ .Values.admin.secretName | default (printf "%s-admin" (include "proxy.name" .)) }}
{{- end }}

{{- define "proxy.frontPort" -}}
{{ if and .Values.oneUrl.enabled (eq .Values.oneUrl.by "nginx") }}front{{ else }}http{{ end }}
{{- end }}

{{- /* The primary as `host` or `host:port`, what a Host header has. */}}
{{- define "proxy.primaryHost" -}}
{{ (urlParse .Values.primary.url).host }}
{{- end }}

{{- define "proxy.primaryName" -}}
{{ regexReplaceAll ":[0-9]+$" (include "proxy.primaryHost" .) "" }}
{{- end }}

{{- define "proxy.primaryPort" -}}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" (include "proxy.primaryHost" .)) -}}
{{ $port | default (hasPrefix "https:" .Values.primary.url | ternary "443" "80") }}
{{- end }}

{{- define "proxy.primaryAddress" -}}
{{ include "proxy.primaryName" . }}:{{ include "proxy.primaryPort" . }}
{{- end }}

{{- define "proxy.primaryUpstream" -}}
{{ (urlParse .Values.primary.url).scheme }}://geo_primary
{{- end }}

{{- define "proxy.primaryAuthorities" -}}
{{ if .Values.oneUrl.caConfigMap }}/ca/ca.crt{{ else }}/etc/ssl/certs/ca-certificates.crt{{ end }}
{{- end }}

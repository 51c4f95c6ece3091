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

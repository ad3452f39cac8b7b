{{- define "hookline.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "hookline.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "hookline.name" .) .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name (include "hookline.name" .) | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- /* What an object is found by; never changes. */ -}}
{{- define "hookline.releaseSelector" -}}
app.kubernetes.io/name: {{ include "hookline.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* ctx, service */ -}}
{{- define "hookline.selector" -}}
{{ include "hookline.releaseSelector" .ctx }}
app.kubernetes.io/component: {{ .service }}
{{- end }}

{{- /* ctx, service */ -}}
{{- define "hookline.labels" -}}
{{ include "hookline.selector" . }}
app.kubernetes.io/version: {{ .ctx.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .ctx.Release.Service }}
app.kubernetes.io/part-of: hookline
helm.sh/chart: {{ printf "%s-%s" .ctx.Chart.Name .ctx.Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* ctx, service, name?, namespace? */ -}}
{{- define "hookline.metadata" -}}
name: {{ .name | default (printf "%s-%s" (include "hookline.fullname" .ctx) .service) }}
namespace: {{ .namespace | default .ctx.Release.Namespace }}
labels:
  {{- include "hookline.labels" . | nindent 2 }}
{{- end }}

{{- define "hookline.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "hookline.publicConsoleUrl" -}}
{{- if .Values.publicConsoleUrl -}}
{{ .Values.publicConsoleUrl }}
{{- else if .Values.routes.hosts.console -}}
https://{{ .Values.routes.hosts.console }}
{{- end -}}
{{- end }}

{{- define "hookline.publicCallbackUrl" -}}
{{- if .Values.publicCallbackUrl -}}
{{- if not (or (hasPrefix "https://" .Values.publicCallbackUrl) .Values.allowHttpCallbackUrl) }}
{{- fail "publicCallbackUrl is not https: verdicts are sent with tokens in the URL. Make it https, or set allowHttpCallbackUrl" }}
{{- end -}}
{{ .Values.publicCallbackUrl }}
{{- else -}}
https://{{ required "set publicCallbackUrl or routes.hosts.callbacks: where receivers send their verdicts" .Values.routes.hosts.callbacks }}
{{- end -}}
{{- end }}

{{- define "hookline.bootstrapServers" -}}
{{- $strimzi := .Values.kafka.strimzi -}}
{{- if .Values.kafka.bootstrapServers -}}
{{ join "," .Values.kafka.bootstrapServers }}
{{- else if $strimzi.enabled -}}
{{ $strimzi.cluster }}-kafka-bootstrap{{ with $strimzi.namespace }}.{{ . }}.svc{{ end }}:{{ ternary 9093 9092 (hasSuffix "SSL" .Values.kafka.securityProtocol) }}
{{- else -}}
{{ fail "set kafka.bootstrapServers, or kafka.strimzi.enabled and kafka.strimzi.cluster" }}
{{- end -}}
{{- end }}

{{- define "hookline.kafkaTls" -}}
{{ if hasSuffix "SSL" .Values.kafka.securityProtocol }}true{{ end }}
{{- end }}

{{- define "hookline.kafkaSasl" -}}
{{ if hasPrefix "SASL" .Values.kafka.securityProtocol }}true{{ end }}
{{- end }}

{{- define "hookline.kafkaCertificates" -}}
{{ if and (eq .Values.kafka.securityProtocol "SSL") .Values.kafka.clientCertificates }}true{{ end }}
{{- end }}

{{- define "hookline.caSecret" -}}
{{- if include "hookline.kafkaTls" . -}}
{{ .Values.kafka.ca.secretName | default (ternary (printf "%s-cluster-ca-cert" .Values.kafka.strimzi.cluster) "" .Values.kafka.strimzi.enabled) }}
{{- end -}}
{{- end }}

{{- /* ctx, service */ -}}
{{- define "hookline.userSecret" -}}
{{ (index .ctx.Values.kafka.users .service).secretName | default (printf "%s-%s" (include "hookline.fullname" .ctx) .service) }}
{{- end }}

{{- /* ctx, service */ -}}
{{- define "hookline.userName" -}}
{{ (index .ctx.Values.kafka.users .service).username | default (printf "%s-%s" (include "hookline.fullname" .ctx) .service) }}
{{- end }}

{{- /* ctx, service: environment of one Kafka user */ -}}
{{- define "hookline.kafkaEnv" -}}
{{- if include "hookline.kafkaSasl" .ctx }}
- name: HOOKLINE_KAFKA_USERNAME
  value: {{ include "hookline.userName" . | quote }}
- name: HOOKLINE_KAFKA_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ include "hookline.userSecret" . }}
      key: {{ .ctx.Values.kafka.userSecretKeys.password }}
{{- end }}
{{- end }}

{{- /* ctx, service */ -}}
{{- define "hookline.kafkaMounts" -}}
{{- if include "hookline.caSecret" .ctx }}
- name: kafka-ca
  mountPath: /etc/hookline/kafka-ca
  readOnly: true
{{- end }}
{{- if include "hookline.kafkaCertificates" .ctx }}
- name: kafka-user
  mountPath: /etc/hookline/kafka-user
  readOnly: true
{{- end }}
{{- end }}

{{- /* ctx, service */ -}}
{{- define "hookline.kafkaVolumes" -}}
{{- with include "hookline.caSecret" .ctx }}
- name: kafka-ca
  secret:
    secretName: {{ . }}
    items:
      - {key: {{ $.ctx.Values.kafka.ca.key }}, path: ca.crt}
{{- end }}
{{- if include "hookline.kafkaCertificates" .ctx }}
- name: kafka-user
  secret:
    secretName: {{ include "hookline.userSecret" . }}
    items:
      - {key: {{ .ctx.Values.kafka.userSecretKeys.certificate }}, path: tls.crt}
      - {key: {{ .ctx.Values.kafka.userSecretKeys.key }}, path: tls.key}
{{- end }}
{{- end }}

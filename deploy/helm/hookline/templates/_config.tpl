{{- define "hookline.config" -}}
HOOKLINE_HOST: 0.0.0.0
HOOKLINE_LOG_FORMAT: json
HOOKLINE_LOG_LEVEL: {{ .Values.log.level }}
HOOKLINE_PUBLIC_CALLBACK_URL: {{ include "hookline.publicCallbackUrl" . | quote }}
HOOKLINE_PUBLIC_CONSOLE_URL: {{ include "hookline.publicConsoleUrl" . | quote }}
HOOKLINE_ALLOW_PRIVATE_ADDRESSES: {{ join "," .Values.allowPrivateAddresses | quote }}
HOOKLINE_HOOK_HTTPS_ONLY: {{ .Values.hooks.httpsOnly | quote }}
HOOKLINE_HOOK_PORTS: {{ join "," .Values.hooks.ports | quote }}
HOOKLINE_KAFKA_BOOTSTRAP_SERVERS: {{ include "hookline.bootstrapServers" . | quote }}
HOOKLINE_KAFKA_SECURITY_PROTOCOL: {{ .Values.kafka.securityProtocol }}
{{- if include "hookline.kafkaSasl" . }}
HOOKLINE_KAFKA_SASL_MECHANISM: {{ .Values.kafka.saslMechanism }}
{{- end }}
{{- if include "hookline.caSecret" . }}
HOOKLINE_KAFKA_CA_FILE: /etc/hookline/kafka-ca/ca.crt
{{- end }}
{{- if include "hookline.kafkaCertificates" . }}
HOOKLINE_KAFKA_CERT_FILE: /etc/hookline/kafka-user/tls.crt
HOOKLINE_KAFKA_KEY_FILE: /etc/hookline/kafka-user/tls.key
{{- end }}
HOOKLINE_TOPIC_PREFIX: {{ .Values.topics.prefix | quote }}
HOOKLINE_PARTITIONS: {{ .Values.topics.partitions | quote }}
HOOKLINE_REPLICATION: {{ .Values.topics.replicas | quote }}
HOOKLINE_RETENTION_DAYS: {{ .Values.topics.retentionDays | quote }}
HOOKLINE_QUARANTINE_DAYS: {{ .Values.topics.quarantineDays | quote }}
HOOKLINE_QUARANTINE_BYTES: {{ int64 .Values.topics.quarantineBytes | quote }}
{{- range $name, $value := .Values.settings }}
{{ $name }}: {{ $value | toString | quote }}
{{- end }}
{{- end }}

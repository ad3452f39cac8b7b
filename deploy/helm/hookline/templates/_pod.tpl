{{- /* What restricted pod security asks for, and no more rights than that. */ -}}
{{- define "hookline.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "hookline.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* secret, key, optional? */ -}}
{{- define "hookline.secretEnv" -}}
- name: {{ .key }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
      {{- if .optional }}
      optional: true
      {{- end }}
{{- end }}

{{- define "hookline.existingSecret" -}}
{{ required "set secrets.existingSecret: a Secret with HOOKLINE_MASTER_KEYS, HOOKLINE_ADMIN_PASSWORD and HOOKLINE_INGRESS_TOKENS" .Values.secrets.existingSecret }}
{{- end }}

{{- /* ctx, service: each service is given its own secrets only. */ -}}
{{- define "hookline.serviceEnv" -}}
{{- $secret := include "hookline.existingSecret" .ctx }}
{{- if eq .service "ingress" }}
{{- include "hookline.secretEnv" (dict "secret" $secret "key" "HOOKLINE_INGRESS_TOKENS" "optional" true) }}
{{- if .ctx.Values.ingress.secretsFile.secretName }}
- name: HOOKLINE_INGRESS_SECRETS_FILE
  value: /etc/hookline/sources/sources.toml
{{- end }}
{{- if .ctx.Values.ingress.mappings }}
- name: HOOKLINE_GENERIC_FILE
  value: /etc/hookline/mappings/mappings.toml
{{- end }}
{{- range $field, $expression := .ctx.Values.ingress.generic }}
{{- if $expression }}
- name: HOOKLINE_GENERIC_{{ $field | snakecase | upper }}
  value: {{ $expression | quote }}
{{- end }}
{{- end }}
{{- else }}
{{- include "hookline.secretEnv" (dict "secret" $secret "key" "HOOKLINE_MASTER_KEYS") }}
{{- end }}
{{- if eq .service "dispatcher" }}
{{- if .ctx.Values.hooks.proxy.enabled }}
{{ include "hookline.secretEnv" (dict "secret" $secret "key" "HOOKLINE_HOOK_PROXY") }}
{{- end }}
- name: HOOKLINE_GROUP_INSTANCE_ID
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: HOOKLINE_SESSION_TIMEOUT_MS
  value: "45000"
{{- end }}
{{- if eq .service "console" }}
{{ include "hookline.secretEnv" (dict "secret" $secret "key" "HOOKLINE_ADMIN_PASSWORD") }}
{{- if .ctx.Values.console.database.postgres }}
{{ include "hookline.secretEnv" (dict "secret" $secret "key" "HOOKLINE_DATABASE_URL") }}
{{- end }}
{{- end }}
{{- end }}

{{- define "hookline.adminPort" -}}
{{ get (dict "ingress" 9081 "callbacks" 9082 "console" 9080 "dispatcher" 9083) . }}
{{- end }}

{{- define "hookline.httpPort" -}}
{{ get (dict "ingress" 8081 "callbacks" 8082 "console" 8080) . }}
{{- end }}

{{- /* ctx, service: a pod template's metadata and spec */ -}}
{{- define "hookline.pod" -}}
{{- $own := index .ctx.Values .service -}}
metadata:
  labels:
    {{- include "hookline.labels" . | nindent 4 }}
  annotations:
    checksum/config: {{ include "hookline.config" .ctx | sha256sum }}
    {{- if and (eq .service "ingress") $own.mappings }}
    checksum/mappings: {{ $own.mappings | sha256sum }}
    {{- end }}
    {{- with $own.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "hookline.fullname" .ctx }}-{{ .service }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ ternary 90 45 (eq .service "dispatcher") }}
  {{- with .ctx.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- include "hookline.podSecurity" . | nindent 4 }}
  topologySpreadConstraints:
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "hookline.selector" $ | nindent 10 }}
    {{- end }}
  containers:
    - name: {{ .service }}
      image: {{ include "hookline.image" .ctx | quote }}
      imagePullPolicy: {{ .ctx.Values.image.pullPolicy }}
      args: [{{ .service }}]
      envFrom:
        - configMapRef:
            name: {{ include "hookline.fullname" .ctx }}
      env:
        {{- include "hookline.serviceEnv" . | trim | nindent 8 }}
        {{- with include "hookline.kafkaEnv" . | trim }}
        {{- . | nindent 8 }}
        {{- end }}
      ports:
        {{- with include "hookline.httpPort" .service }}
        - {name: http, containerPort: {{ . }}, protocol: TCP}
        {{- end }}
        - {name: admin, containerPort: {{ include "hookline.adminPort" .service }}, protocol: TCP}
      # Neither looks at brokers: a restart would not bring them back.
      startupProbe:
        httpGet: {path: /livez, port: admin}
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /livez, port: admin}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 3
      readinessProbe:
        httpGet: {path: /readyz, port: admin}
        periodSeconds: 5
        timeoutSeconds: 3
        failureThreshold: 2
      {{- if ne .service "dispatcher" }}
      # Until every proxy has heard that this pod goes.
      lifecycle:
        preStop:
          sleep: {seconds: 5}
      {{- end }}
      resources:
        {{- toYaml $own.resources | nindent 8 }}
      securityContext:
        {{- include "hookline.containerSecurity" . | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        {{- if eq .service "console" }}
        - {name: data, mountPath: /data}
        {{- end }}
        {{- if and (eq .service "ingress") $own.secretsFile }}
        {{- if $own.secretsFile.secretName }}
        - {name: sources, mountPath: /etc/hookline/sources, readOnly: true}
        {{- end }}
        {{- end }}
        {{- if and (eq .service "ingress") $own.mappings }}
        - {name: mappings, mountPath: /etc/hookline/mappings, readOnly: true}
        {{- end }}
        {{- with include "hookline.kafkaMounts" . | trim }}
        {{- . | nindent 8 }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: 64Mi}
    {{- if eq .service "console" }}
    - name: data
      {{- if and $own.persistence.enabled (not $own.database.postgres) }}
      persistentVolumeClaim:
        claimName: {{ include "hookline.fullname" .ctx }}-console
      {{- else }}
      emptyDir: {sizeLimit: {{ $own.persistence.size }}}
      {{- end }}
    {{- end }}
    {{- if and (eq .service "ingress") $own.secretsFile }}
    {{- if $own.secretsFile.secretName }}
    - name: sources
      secret:
        secretName: {{ $own.secretsFile.secretName }}
        items:
          - {key: {{ $own.secretsFile.key }}, path: sources.toml}
    {{- end }}
    {{- end }}
    {{- if and (eq .service "ingress") $own.mappings }}
    - name: mappings
      configMap:
        name: {{ include "hookline.fullname" .ctx }}-mappings
    {{- end }}
    {{- with include "hookline.kafkaVolumes" . | trim }}
    {{- . | nindent 4 }}
    {{- end }}
  {{- with $own.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- /*
ctx, service: what one service may do, as KafkaUser.spec.authorization.acls. A topic has one writer: nobody else can forge
its records. `pipelines` has a second one, the topics job, which writes the log's id into it once; `callbacks` and `commands` have
the dispatcher, which seals steps there (docs/design.md section 2).
Everyone checks all topics before it starts (describe), and reads the log's id in `pipelines`.
*/ -}}
{{- define "hookline.acls" -}}
{{- $prefix := .ctx.Values.topics.prefix }}
{{- $all := list "pushes" "callbacks" "commands" "deliveries" "pipelines" "snapshots" "quarantine" }}
{{- $logs := list "pushes" "callbacks" "commands" "deliveries" }}
{{- $writes := get (dict
  "ingress" (list "pushes" "quarantine")
  "callbacks" (list "callbacks")
  "console" (list "commands" "pipelines")
  "dispatcher" (list "callbacks" "commands" "deliveries" "snapshots")
  "topics" (list "pipelines")) .service }}
{{- $reads := get (dict
  "ingress" (list "pipelines" "pushes" "commands")
  "callbacks" (concat $logs (list "pipelines" "snapshots"))
  "console" (concat $logs (list "pipelines"))
  "dispatcher" (concat $logs (list "pipelines" "snapshots"))
  "topics" (list "pipelines")) .service }}
{{- range $topic := $all }}
{{- $operations := list "Describe" "DescribeConfigs" }}
{{- if has $topic $reads }}{{ $operations = append $operations "Read" }}{{ end }}
{{- if has $topic $writes }}{{ $operations = append $operations "Write" }}{{ end }}
{{- /* DeleteRecords of snapshots that a newer one replaced. Kafka has no narrower right; nobody else gets it. */ -}}
{{- if and (eq $.service "dispatcher") (eq $topic "snapshots") }}{{ $operations = append $operations "Delete" }}{{ end }}
- resource: {type: topic, name: {{ printf "%s%s" $prefix $topic | quote }}, patternType: literal}
  operations: [{{ join ", " $operations }}]
  host: "*"
{{ end }}
{{- if has .service (list "dispatcher" "callbacks" "topics") }}
- resource: {type: group, name: {{ printf "%sdispatcher" $prefix | quote }}, patternType: literal}
  operations: [{{ ternary "Describe, Read" "Describe" (eq .service "dispatcher") }}]
  host: "*"
{{- end }}
{{- end }}

{{- /* How whoever writes to Postgres reaches it: environment, and what is mounted at /etc/podwhois/postgres. */ -}}
{{- define "podwhois.postgresEnv" -}}
{{- with .Values.postgres -}}
{{- if .urlKey }}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret }}
      key: {{ .urlKey }}
{{- else }}
- name: PGHOST
  value: {{ .host | quote }}
- name: PGPORT
  value: {{ .port | quote }}
- name: PGUSER
  value: {{ .user | quote }}
{{- with .database }}
- name: PGDATABASE
  value: {{ . | quote }}
{{- end }}
{{- if .existingSecret }}
- name: PGPASSWORD_FILE
  value: /etc/podwhois/postgres/password
{{- end }}
{{- end }}
{{- $ca := or .ca.existingSecret .ca.existingConfigMap .ca.system }}
- name: PGSSLMODE
  value: {{ default (ternary "verify-full" "require" (not (empty $ca))) .sslMode }}
{{- if $ca }}
- name: PGSSLROOTCERT
  value: {{ ternary "system" "/etc/podwhois/postgres/ca.crt" .ca.system }}
{{- end }}
- name: PODWHOIS_SCHEMA
  value: {{ .schema | quote }}
- name: CLUSTER_NAME
  value: {{ .clusterName | quote }}
{{- end -}}
{{- end -}}

{{- define "podwhois.postgresMounts" -}}
{{- if include "podwhois.postgresFiles" . }}
- name: postgres
  mountPath: /etc/podwhois/postgres
  readOnly: true
{{- end -}}
{{- end -}}

{{- define "podwhois.postgresVolumes" -}}
{{- with include "podwhois.postgresFiles" . }}
- name: postgres
  projected:
    sources: {{- . | nindent 6 }}
{{- end -}}
{{- end -}}

{{- /* Of each Secret only what is needed. */ -}}
{{- define "podwhois.postgresFiles" -}}
{{- with .Values.postgres -}}
{{- if and .existingSecret (not .urlKey) }}
- secret:
    name: {{ .existingSecret }}
    items: [{ key: {{ .passwordKey }}, path: password }]
{{- end }}
{{- with .ca.existingSecret }}
- secret:
    name: {{ . }}
    items: [{ key: {{ $.Values.postgres.ca.key }}, path: ca.crt }]
{{- end }}
{{- with .ca.existingConfigMap }}
- configMap:
    name: {{ . }}
    items: [{ key: {{ $.Values.postgres.ca.key }}, path: ca.crt }]
{{- end }}
{{- end -}}
{{- end -}}

{{- /* Takes [root, the capability's value, the settings it has beside it and where they are]. */ -}}
{{- define "podwhois.postgresGuards" -}}
{{- $capability := index . 1 -}}
{{- $settings := index . 2 -}}
{{- $place := index . 3 -}}
{{- with (index . 0).Values.postgres -}}
{{- if not (or .host .urlKey) -}}
{{- fail (printf "%s.enabled needs postgres.host, or the URL in postgres.existingSecret and its key in postgres.urlKey: where Postgres is" $capability) -}}
{{- end -}}
{{- if and .host .urlKey -}}
{{- fail "postgres.host and postgres.urlKey: one of both, for the URL names the host" -}}
{{- end -}}
{{- if and .urlKey (not .existingSecret) -}}
{{- fail "postgres.urlKey needs postgres.existingSecret: the Secret that has this key" -}}
{{- end -}}
{{- $authorities := compact (list .ca.existingSecret .ca.existingConfigMap (ternary "system" "" .ca.system)) -}}
{{- if gt (len $authorities) 1 -}}
{{- fail "postgres.ca.existingSecret, postgres.ca.existingConfigMap and postgres.ca.system: one of them" -}}
{{- end -}}
{{- if and (hasPrefix "verify" .sslMode) (empty $authorities) -}}
{{- fail (printf "postgres.sslMode=%s needs one of postgres.ca: who has signed Postgres' certificate" .sslMode) -}}
{{- end -}}
{{- if and .ca.system (not (has .sslMode (list "" "verify-full"))) -}}
{{- fail "postgres.ca.system needs postgres.sslMode=verify-full: a public authority signs for everybody" -}}
{{- end -}}
{{- $variables := dict "DATABASE_URL" "urlKey" "PGHOST" "host" "PGPORT" "port" "PGUSER" "user" "PGDATABASE" "database" "PGPASSWORD" "existingSecret" "PGPASSWORD_FILE" "existingSecret" "PGSSLMODE" "sslMode" "PGSSLROOTCERT" "ca" "PODWHOIS_SCHEMA" "schema" "CLUSTER_NAME" "clusterName" -}}
{{- range $variable, $value := $variables -}}
{{- if hasKey $settings $variable -}}
{{- fail (printf "%s.%s is the chart's own: set postgres.%s" $place $variable $value) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

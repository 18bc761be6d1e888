{{- /* The capability's own: it makes no object and is granted nothing, for it needs nothing of the cluster that lookups do not. */ -}}
{{- define "podwhois.snapshotEnv" -}}
{{- if .Values.snapshot.enabled }}
- name: SNAPSHOT
  value: 'true'
- name: SNAPSHOT_HISTORY_RETENTION
  value: {{ .Values.snapshot.historyRetention | quote }}
{{- include "podwhois.postgresEnv" . }}
{{- end }}
{{- end -}}

{{- define "podwhois.snapshotMounts" -}}
{{- if .Values.snapshot.enabled }}{{ include "podwhois.postgresMounts" . }}{{ end -}}
{{- end -}}

{{- define "podwhois.snapshotVolumes" -}}
{{- if .Values.snapshot.enabled }}{{ include "podwhois.postgresVolumes" . }}{{ end -}}
{{- end -}}

{{- define "podwhois.snapshotGuards" -}}
{{- if .Values.snapshot.enabled -}}
{{- if hasKey .Values.settings "SNAPSHOT" -}}
{{- fail "settings.SNAPSHOT is the chart's own: set snapshot.enabled" -}}
{{- end -}}
{{- if hasKey .Values.settings "SNAPSHOT_HISTORY_RETENTION" -}}
{{- fail "settings.SNAPSHOT_HISTORY_RETENTION is the chart's own: set snapshot.historyRetention" -}}
{{- end -}}
{{- include "podwhois.postgresGuards" (list . "snapshot" .Values.settings "settings") -}}
{{- end -}}
{{- end -}}

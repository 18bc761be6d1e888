{{- /* The capability's own: it makes no object and is granted nothing, for it needs nothing of the cluster that lookups do not. */ -}}
{{- define "podwhois.snapshotEnv" -}}
{{- if .Values.snapshot.enabled }}
- name: SNAPSHOT
  value: 'true'
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
{{- include "podwhois.postgresGuards" (list . "snapshot" .Values.settings "settings") -}}
{{- end -}}
{{- end -}}

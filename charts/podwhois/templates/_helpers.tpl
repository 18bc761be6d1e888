{{- define "podwhois.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "podwhois.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "podwhois.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "podwhois.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "podwhois.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "podwhois.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is needed with serviceAccount.create=false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "podwhois.selectorLabels" -}}
app.kubernetes.io/name: {{ include "podwhois.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "podwhois.labels" -}}
{{ include "podwhois.selectorLabels" . }}
{{ include "podwhois.otherLabels" . }}
{{- end -}}

{{- /* What nothing is selected by. */ -}}
{{- define "podwhois.otherLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "podwhois.image" -}}
{{- $repository := .Values.image.repository -}}
{{- if .Values.image.registry -}}{{- $repository = printf "%s/%s" .Values.image.registry $repository -}}{{- end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- /* What all pods of the chart have in common. */ -}}
{{- define "podwhois.podSpec" -}}
# Service links would fill the environment with tcp://… of every Service, PORT's namesakes among them.
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
securityContext: {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .Values.hostAliases }}
hostAliases: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* Namespaced, podwhois needs to be told of which namespaces; their Roles are the same. */ -}}
{{- define "podwhois.podRules" -}}
- apiGroups: ['']
  resources: [pods]
  verbs: [list, watch]
{{- with .Values.rbac.extraRules }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* The Secrets that say who may read, and by which certificate podwhois is known. */ -}}
{{- define "podwhois.secretMounts" -}}
{{- if .Values.lookupToken.existingSecret }}
- name: lookup-token
  mountPath: /etc/podwhois/lookup-token
  readOnly: true
{{- end }}
{{- if .Values.tls.existingSecret }}
- name: tls
  mountPath: /etc/podwhois/tls
  readOnly: true
{{- end }}
{{- end -}}

{{- define "podwhois.secretVolumes" -}}
{{- with .Values.lookupToken.existingSecret }}
- name: lookup-token
  secret: { secretName: {{ . }} }
{{- end }}
{{- with .Values.tls.existingSecret }}
- name: tls
  secret: { secretName: {{ . }} }
{{- end }}
{{- end -}}

{{- /* What cannot work is said here, in sentences. */ -}}
{{- define "podwhois.guards" -}}
{{- if and (eq .Values.watch.scope "namespaces") (empty .Values.watch.namespaces) -}}
{{- fail "watch.scope=namespaces needs watch.namespaces: the namespaces whose pods podwhois may see" -}}
{{- end -}}
{{- if and (eq .Values.watch.scope "cluster") .Values.watch.namespaces -}}
{{- fail "watch.namespaces goes with watch.scope=namespaces" -}}
{{- end -}}
{{- $nodeName := ternary "settings" "" (hasKey .Values.settings "NODE_NAME") -}}
{{- range .Values.extraEnv -}}{{- if eq (toString .name) "NODE_NAME" -}}{{- $nodeName = "extraEnv" -}}{{- end -}}{{- end -}}
{{- range .Values.extraArgs -}}{{- if hasPrefix "--node-name" . -}}{{- $nodeName = "extraArgs" -}}{{- end -}}{{- end -}}
{{- if and (eq .Values.kind "DaemonSet") $nodeName -}}
{{- fail (printf "a DaemonSet with NODE_NAME would answer only for the pods of its own node: leave it out of %s" $nodeName) -}}
{{- end -}}
{{- if and (eq .Values.kind "DaemonSet") .Values.autoscaling.enabled -}}
{{- fail "autoscaling goes with kind=Deployment" -}}
{{- end -}}
{{- $own := dict "PORT" "port" "NAMESPACE" "watch.namespaces" "PREFLIGHT_PORT" "preflightPort" "LOOKUP_TOKEN_FILE" "lookupToken" "TLS_CERT_FILE" "tls" "TLS_KEY_FILE" "tls" -}}
{{- range $variable, $value := $own -}}
{{- if hasKey $.Values.settings $variable -}}
{{- fail (printf "settings.%s is the chart's own: set %s" $variable $value) -}}
{{- end -}}
{{- end -}}
{{- with .Values.forwardAuth -}}
{{- if .enabled -}}
{{- if and (empty .trustedProxies) (not .direct) -}}
{{- fail "forwardAuth.enabled needs forwardAuth.trustedProxies (who may say whose request it is), or forwardAuth.direct=true when callers connect themselves" -}}
{{- end -}}
{{- if and (eq $.Values.watch.scope "namespaces") (not .partialView) -}}
{{- fail "forwardAuth with watch.scope=namespaces needs forwardAuth.partialView=true: conflicts with pods that are not in view cannot be seen" -}}
{{- end -}}
{{- if and .rules .existingConfigMap -}}
{{- fail "forwardAuth.rules and forwardAuth.existingConfigMap: one of both" -}}
{{- end -}}
{{- if and (contains "\"namespaceSelector\"" (toJson .rules)) (not .namespaceLabels) -}}
{{- fail "forwardAuth.rules has a namespaceSelector, so it needs forwardAuth.namespaceLabels=true: without the labels podwhois is never ready" -}}
{{- end -}}
{{- $variables := dict "FORWARD_AUTH" "enabled" "FORWARD_AUTH_PRESET" "preset" "TRUSTED_PROXIES" "trustedProxies" "FORWARD_AUTH_DIRECT" "direct" "FORWARD_AUTH_PARTIAL_VIEW" "partialView" "FORWARD_AUTH_RULES" "rules" -}}
{{- range $variable, $value := $variables -}}
{{- if hasKey $.Values.settings $variable -}}
{{- fail (printf "settings.%s is the chart's own: set forwardAuth.%s" $variable $value) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- include "podwhois.snapshotGuards" . -}}
{{- end -}}

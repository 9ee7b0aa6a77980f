{{- define "testnet.labels" -}}
{{- merge (include "testnet.ownLabels" . | fromYaml) (.Values.labels | default dict) | toYaml -}}
{{- end }}

{{- define "testnet.ownLabels" -}}
app.kubernetes.io/name: walrus-testnet
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: walrus
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "testnet.testImage" -}}
{{- if .Values.test.image -}}
{{- .Values.test.image -}}
{{- else if .Values.network.image -}}
{{- .Values.network.image -}}
{{- else -}}
{{- $deployment := lookup "apps/v1" "Deployment" .Values.test.operator.namespace .Values.test.operator.name -}}
{{- if $deployment -}}
{{- (first $deployment.spec.template.spec.containers).image -}}
{{- else -}}
{{- printf "walrus-on-kubernetes:%s" .Chart.AppVersion -}}
{{- end -}}
{{- end -}}
{{- end }}

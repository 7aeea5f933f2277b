{{/* The labels by which Deployment and Service know their Pods; they can never be changed. */}}
{{- define "trimtab.selector" -}}
app.kubernetes.io/name: trimtab
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The labels of every object. By app.kubernetes.io/name the controller finds its own. */}}
{{- define "trimtab.labels" -}}
{{ include "trimtab.selector" . }}
app.kubernetes.io/part-of: trimtab
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Who a binding gives its role to. */}}
{{- define "trimtab.subjects" -}}
subjects:
  - kind: ServiceAccount
    name: {{ .Release.Name }}
    namespace: {{ .Release.Namespace }}
{{- end }}

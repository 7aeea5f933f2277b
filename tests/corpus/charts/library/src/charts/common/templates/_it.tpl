{{- define "common.labels" -}}
app: {{ .Chart.Name }}
{{- end }}
{{- define "common.name" }}common{{ end }}

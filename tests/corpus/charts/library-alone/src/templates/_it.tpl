{{- define "it" }}it{{ end }}

{{- define "common.name" }}own{{ end }}

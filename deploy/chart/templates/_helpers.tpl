{{/* The labels of all objects. */}}
{{- define "pullkey.labels" -}}
app.kubernetes.io/name: pullkey
{{- end }}

{{/* Those by which the webhook's Pods are found. A Deployment's can never change, so no version stands here. */}}
{{- define "pullkey.webhookLabels" -}}
app.kubernetes.io/component: webhook
app.kubernetes.io/name: pullkey
{{- end }}

{{/* Those by which the controller's Pods are found. */}}
{{- define "pullkey.controllerLabels" -}}
app.kubernetes.io/component: controller
app.kubernetes.io/name: pullkey
{{- end }}

{{/* [registry/]repository[:tag][@digest] */}}
{{- define "pullkey.image" -}}
{{- $image := .Values.image -}}
{{- with $image.registry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- with $image.tag | default (empty $image.digest | ternary .Chart.AppVersion "") }}:{{ . }}{{ end -}}
{{- with $image.digest }}@{{ . }}{{ end -}}
{{- end }}

{{/* The name by which the API server calls the webhook. */}}
{{- define "pullkey.serverName" -}}
pullkey-webhook.{{ .Release.Namespace }}.svc
{{- end }}

{{/*
The rights on Secrets, as a list of rules: all of them, or those of the names that there are. In: root, verbs, and where the
names are; a name of copies is in the namespace "". No name would be taken for any.
*/}}
{{- define "pullkey.rightsOnSecrets" -}}
{{- $rule := dict "apiGroups" (list "") "resources" (list "secrets") "verbs" .verbs }}
{{- $names := list }}
{{- range .root.Values.secretNames | uniq | sortAlpha }}
{{- $parts := splitList "/" . }}
{{- if eq (len $parts | eq 2 | ternary (first $parts) "") $.namespace }}
{{- $names = append $names (last $parts) }}
{{- end }}
{{- end }}
{{- if $names }}
{{- $rule = set $rule "resourceNames" $names }}
{{- end }}
{{- if or $names (not .root.Values.secretNames) }}
{{- toYaml (list $rule) }}
{{- end }}
{{- end }}

{{/* What the Pods of webhook and controller have alike; in: root, labels. */}}
{{- define "pullkey.pod" -}}
automountServiceAccountToken: true
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
nodeSelector:
  kubernetes.io/os: linux
priorityClassName: {{ .root.Values.priorityClassName }}
securityContext:
  # No user is named: the image has one without rights, and OpenShift chooses its own.
  runAsNonRoot: true
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- $.labels | nindent 8 }}
    # Counted within one revision, or the Pods of an old one would push those of the next together.
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}

{{/* What their containers have alike; in: root. */}}
{{- define "pullkey.container" -}}
image: {{ include "pullkey.image" .root }}
livenessProbe:
  httpGet: {path: /livez, port: health}
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: health}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
# Every second, so that a rollout waits for nothing, and for a minute, so that a busy node kills nobody.
startupProbe:
  httpGet: {path: /livez, port: health}
  periodSeconds: 1
  timeoutSeconds: 3
  failureThreshold: 60
securityContext:
  allowPrivilegeEscalation: false
  capabilities:
    drop: [ALL]
  readOnlyRootFilesystem: true
{{- end }}

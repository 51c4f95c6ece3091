#!/bin/sh
# Lints the Helm chart, renders it with each file of its ci/, and reads every object of Kubernetes and of the Gateway API that comes
# out strictly, as the types of their Go modules say: an unknown field or a wrong type fails. Needs helm and go, and the
# modules' proxy; no cluster.
#
#   HELM=/path/to/helm scripts/try-chart.sh
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
chart=$here/deploy/helm/geo-registry-proxy
helm=${HELM:-helm}
kube=${KUBE_VERSION:-1.31.0}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$helm" version --short
for values in "$chart"/ci/*-values.yaml; do
  name=$(basename "$values" -values.yaml)
  "$helm" lint --strict --quiet --kube-version "$kube" -f "$values" "$chart"
  "$helm" template gitlab "$chart" --kube-version "$kube" -f "$values" > "$work/$name.yaml"
done

# What it must not take: it has to say what is missing.
refused() {
  expected=$1
  shift
  if "$helm" template gitlab "$chart" --kube-version "$kube" "$@" > "$work/refused" 2>&1; then
    echo "not refused: $*"; exit 1
  fi
  grep -q "$expected" "$work/refused" || { cat "$work/refused"; exit 1; }
}
refused /primary/url
refused token.realm --set primary.url=https://registry.primary.example.com
refused ingress.host -f "$chart/ci/gitlab-values.yaml" --set ingress.host=
refused httpRoute.parentRefs -f "$chart/ci/gitlab-values.yaml" --set httpRoute.enabled=true
refused httpRoute.enabled -f "$chart/ci/one-url-route-values.yaml" --set httpRoute.enabled=false
refused replicas -f "$chart/ci/gitlab-values.yaml" --set replicas=2

cat > "$work/main.go" <<'GO'
package main

import (
	"fmt"
	"os"
	"strings"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

func target(kind string) any {
	switch kind {
	case "apps/v1 Deployment":
		return &apps.Deployment{}
	case "v1 Service":
		return &core.Service{}
	case "v1 Secret":
		return &core.Secret{}
	case "v1 PersistentVolumeClaim":
		return &core.PersistentVolumeClaim{}
	case "networking.k8s.io/v1 Ingress":
		return &networking.Ingress{}
	case "networking.k8s.io/v1 NetworkPolicy":
		return &networking.NetworkPolicy{}
	case "policy/v1 PodDisruptionBudget":
		return &policy.PodDisruptionBudget{}
	case "v1 ConfigMap":
		return &core.ConfigMap{}
	case "gateway.networking.k8s.io/v1 HTTPRoute":
		return &gateway.HTTPRoute{}
	case "gateway.networking.k8s.io/v1 BackendTLSPolicy":
		return &gateway.BackendTLSPolicy{}
	}
	return nil
}

func main() {
	failed := false
	for _, file := range os.Args[1:] {
		text, err := os.ReadFile(file)
		if err != nil {
			panic(err)
		}
		for _, document := range strings.Split(string(text), "\n---\n") {
			var head struct {
				meta.TypeMeta `json:",inline"`
				Metadata      meta.ObjectMeta `json:"metadata"`
			}
			if err := yaml.Unmarshal([]byte(document), &head); err != nil {
				fmt.Println(file, err)
				failed = true
				continue
			}
			kind := head.APIVersion + " " + head.Kind
			if head.Kind == "" {
				continue
			}
			object := target(kind)
			if object == nil {
				fmt.Println("read, and not checked against types:", kind)
				continue
			}
			if err := yaml.UnmarshalStrict([]byte(document), object); err != nil {
				fmt.Println(file, kind, err)
				failed = true
				continue
			}
			fmt.Println("ok", kind, head.Metadata.Name)
		}
	}
	if failed {
		os.Exit(1)
	}
}
GO
cd "$work"
go mod init chart > /dev/null 2>&1
go mod edit -require=k8s.io/api@v0.34.0 -require=k8s.io/apimachinery@v0.34.0 -require=sigs.k8s.io/gateway-api@v1.4.0 -require=sigs.k8s.io/yaml@v1.4.0
go mod tidy > "$work/tidy.log" 2>&1 || { cat "$work/tidy.log"; exit 1; }
go run . "$work"/*.yaml
echo "the chart is whole"

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# kustomize's `images:` takes a name for a regular expression: the image of another registry is
# replaced with it.
#
# `name: registry.example/app` looks like the name of one image. kustomize puts it unquoted between ^
# and an optional tag, so each dot in it matches any character, and every registry's name has dots.
# `kustomize edit set image registry.example/app=...` writes the same.
#
# Seen with kustomize 5.7.1, of two containers, one of registry.example and one of registry-example:
#
#     image: mirror.example/app:2
#     image: mirror.example/app:2
#
# where the second was to stay registry-example/app:1. Fails if that changes.
#
# Needs no root: go, which fetches and builds kustomize by its modules.
set -eu
version=v5.7.1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

GOBIN="$work" go install "sigs.k8s.io/kustomize/kustomize/v5@$version"

cat > pod.yaml << 'POD'
apiVersion: v1
kind: Pod
metadata: {name: two}
spec:
  containers:
    - {name: ours, image: "registry.example/app:1"}
    - {name: theirs, image: "registry-example/app:1"}
POD
cat > kustomization.yaml << 'KUSTOMIZATION'
resources: [pod.yaml]
images:
  - {name: registry.example/app, newName: mirror.example/app, newTag: "2"}
KUSTOMIZATION

echo "kustomize $version"
./kustomize build . > built
images=$(sed -n 's/^ *- image: //p' built)
echo "$images"
[ "$images" = "mirror.example/app:2
mirror.example/app:2" ] || {
    echo "it was: both images replaced; now it is something else" >&2
    exit 1
}

#!/bin/sh
# Made by Boxship. Usage: remove-gone.sh K3S
# k3s keeps what it has applied when its file goes: the objects of apps that the store no longer has are deleted. Their
# volumes stay on the data partition.
R=${BOXSHIP_ROOT:-}
manifests=$R/var/lib/rancher/k3s/server/manifests
names=$R/run/boxship/verify/names
code=0

for file in "$manifests"/boxship-*.yaml; do
  [ -e "$file" ] || continue
  grep -q "^apps/[^/]*/manifests/${file##*/}\$" "$names" && continue
  mv "$file" "$file.gone" # k3s looks at .yaml, .yml and .json; whoever is interrupted goes on with this one
done
for file in "$manifests"/boxship-*.yaml.gone; do
  [ -e "$file" ] || continue
  name=${file##*/}
  name=${name%.yaml.gone}
  if [ ! -e "${file%.gone}" ]; then
    echo "boxship: $name is gone from the store, its objects are deleted"
    "$1" kubectl delete --ignore-not-found --wait=false -f "$file" || code=1
  fi
  # k3s's own note of the file: with it, the same file would not be applied again
  "$1" kubectl delete --ignore-not-found --namespace=kube-system addon "$name" || code=1
  [ "$code" != 0 ] || rm -f "$file"
done
exit "$code"

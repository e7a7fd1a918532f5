#!/bin/sh
# Made by Boxship. Usage: run.sh CTR NAMESPACE [OPTION...] IMAGE CONTAINER [ARGUMENT...]
# Runs a container in the network of the device, with what the device knows of names, as far as it has such files.
ctr=$1 namespace=$2
shift 2
for file in /etc/hosts /etc/resolv.conf; do
    [ ! -e "$file" ] || set -- "--mount=type=bind,src=$file,dst=$file,options=rbind:ro" "$@"
done
exec "$ctr" -n "$namespace" run "$@"

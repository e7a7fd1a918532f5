#!/bin/sh
# Made by Boxship. Usage: ensure.sh DOCKER network|volume NAME [OPTION...]
# Makes a network or a volume unless there is one of that name.
docker=$1 kind=$2 name=$3
shift 3
"$docker" "$kind" inspect "$name" >/dev/null 2>&1 && exit 0
exec "$docker" "$kind" create "$@" "$name"

#!/bin/sh
# Made by Boxship. Usage: if-there.sh DOCKER CONTAINER COMMAND [OPTION...]
# Runs "docker COMMAND [OPTION...] CONTAINER". That there is no such container is no error, and nothing is said of it.
docker=$1 container=$2
shift 2
said=$("$docker" "$@" "$container" 2>&1 >/dev/null)
status=$?
[ -n "$said" ] || exit "$status"
# Looked up afterwards: a container that ends meanwhile removes itself. Some engines complain, and yet report success.
left=$("$docker" container ls --all --quiet --filter "name=^$container\$" 2>/dev/null) && [ -z "$left" ] && exit 0
printf '%s\n' "$said" >&2
exit "$status"

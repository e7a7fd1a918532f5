#!/bin/sh
# Made by Boxship. Usage: with-devices.sh PATTERN... -- DOCKER run|create ARGUMENT...
# Gives the container each device node that a pattern matches now, and its group, whatever number that has on this system.
options='' groups=' 0 '
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    found=''
    for node in $1; do
        [ -c "$node" ] || [ -b "$node" ] || continue
        found=yes
        options="$options --device=$node"
        group=$(stat -c %g "$node")
        case $groups in
        *" $group "*) ;;
        *) groups="$groups$group " options="$options --group-add=$group" ;;
        esac
    done
    [ -n "$found" ] || echo "boxship: no device is at $1"
    shift
done
docker=$2 verb=$3
shift 3
# shellcheck disable=SC2086 # words, without spaces of their own: paths below /dev and numbers
exec "$docker" "$verb" $options "$@"

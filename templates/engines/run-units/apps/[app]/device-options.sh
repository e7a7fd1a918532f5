#!/bin/sh
# Made by Boxship. Usage: device-options.sh [--to=FILE] PATTERN... [-- ...]
# Prints the options of docker or podman run that give a container each device node that a pattern matches now, and its group,
# whatever number that has on this system. With --to, they are the variable BOXSHIP_DEVICES of an environment file.
file=''
case $1 in --to=*) file=${1#--to=} && shift ;; esac
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
    [ -n "$found" ] || echo "boxship: no device is at $1" >&2
    shift
done
if [ -n "$file" ]; then
    mkdir -p "${file%/*}" && echo "BOXSHIP_DEVICES=\"$options\"" >"$file"
else
    echo "$options"
fi

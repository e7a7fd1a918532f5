#!/bin/sh
# Made by Boxship. Usage: host-paths.sh PATH...
# Makes a folder of each path that is not there: what a container mounts must be.
for path; do
    [ -e "$path" ] || [ -L "$path" ] || mkdir -p "$path" || exit 1
done

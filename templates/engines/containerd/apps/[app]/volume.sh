#!/bin/sh
# Made by Boxship. Usage: volume.sh FOLDER [CTR NAMESPACE IMAGE PATH]
# Makes the folder of a named volume unless it is there: with what the image has at PATH, its owner and its mode, as docker
# fills a new volume; empty without an image. It appears whole or not at all.
folder=$1 ctr=$2 namespace=$3 image=$4 path=$5
[ -d "$folder" ] && exit 0
new=$folder.new
rm -rf "$new"
mkdir -p "${folder%/*}" && mkdir -m 0755 "$new" || exit 1
if [ -n "$image" ]; then
    at=/run/boxship/volume-$$
    mkdir -p "$at" && "$ctr" -n "$namespace" images mount "$image" "$at" >/dev/null || exit 1
    status=0
    if [ -d "$at$path" ] && [ ! -L "$at$path" ]; then
        cp -a "$at$path/." "$new/" || status=1
    fi
    "$ctr" -n "$namespace" images unmount --rm "$at" >/dev/null || status=1
    rmdir "$at"
    [ "$status" = 0 ] || exit 1
fi
sync
mv "$new" "$folder"

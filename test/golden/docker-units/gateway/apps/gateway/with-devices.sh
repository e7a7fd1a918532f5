#!/bin/sh
# Made by Boxship. Usage: with-devices.sh PATTERN... -- DOCKER run|create ARGUMENT...
# Gives the container the devices that device-options.sh, which lies beside this file, finds.
# shellcheck source=SCRIPTDIR/device-options.sh
options=$(. "${0%/*}/device-options.sh") # it reads the same arguments
while [ "$1" != -- ]; do shift; done
docker=$2 verb=$3
shift 3
# shellcheck disable=SC2086 # words, without spaces of their own: paths below /dev and numbers
exec "$docker" "$verb" $options "$@"

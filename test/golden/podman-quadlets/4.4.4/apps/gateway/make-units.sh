#!/bin/sh
# Made by Boxship. Usage: make-units.sh GENERATOR UNITS
# Before 5.3, podman does not look into /run/containers/systemd: its generator is told to, and writes beside other units.
generator=$1 units=$2
mkdir -p "$units"
QUADLET_UNIT_DIRS=${QUADLET_UNIT_DIRS:-/run/containers/systemd} "$generator" "$units" "$units" "$units" || exit 1
systemctl daemon-reload && exec systemctl start --no-block boxship-apps.target

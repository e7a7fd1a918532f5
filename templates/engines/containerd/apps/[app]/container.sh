#!/bin/sh
# Made by Boxship. Usage: container.sh CTR NAMESPACE CONTAINER clean
#                         container.sh CTR NAMESPACE CONTAINER stop SECONDS [SIGNAL]
# clean: what a run before has left of the container goes, whatever ended it. stop: asks its process to end, by the image's
# own signal unless one is given, and kills it after so many seconds.
ctr=$1 namespace=$2 container=$3 verb=$4 seconds=${5:-0} signal=${6:-}
# shellcheck source=SCRIPTDIR/container-state.sh
. "${0%/*}/container-state.sh"

kill_it() {
    "$ctr" -n "$namespace" tasks kill --all --signal SIGKILL "$container" >/dev/null 2>&1
}

case $verb in
stop)
    is_running "$container" "$ctr" "$namespace" || exit 0
    # shellcheck disable=SC2086 # no signal is no word
    "$ctr" -n "$namespace" tasks kill ${signal:+--signal "$signal"} "$container"
    while is_running "$container" "$ctr" "$namespace"; do
        [ "$seconds" -gt 0 ] || { kill_it; break; }
        seconds=$((seconds - 1))
        sleep 1
    done
    ;;
clean)
    "$ctr" -n "$namespace" containers info "$container" >/dev/null 2>&1 || exit 0
    kill_it
    "$ctr" -n "$namespace" tasks rm --force "$container" >/dev/null 2>&1
    "$ctr" -n "$namespace" containers rm "$container"
    ;;
*)
    echo "boxship: unknown command $verb" >&2
    exit 2
    ;;
esac

#!/bin/sh
# Made by Boxship. Usage: await.sh CONDITION required|optional UNIT CONTAINER ENGINE...
# Ends when the condition of Compose's depends_on holds. For as long as it does not, a required dependency is waited for
# (it may be restarted, by systemd or by a person), and an optional one that has failed is not.
condition=$1 need=$2 unit=$3 container=$4
shift 4
told='' waited=0
# shellcheck source=SCRIPTDIR/container-state.sh
. "${0%/*}/container-state.sh"

unit_property() {
    systemctl show -p "$1" "$unit" | sed 's/^[^=]*=//'
}

# Tells each reason once; an optional dependency is given up.
wait_because() {
    [ "$told" = "$1" ] || echo "boxship: $unit: $1; $condition is $need"
    told=$1
    [ "$need" = optional ] && exit 0
}

while :; do
    state=$(unit_property ActiveState)
    case $condition in
    service_started)
        is_running "$container" "$@" && exit 0
        case $state in
        inactive) exit 0 ;; # has run, and ended well
        failed)
            # when the app has failed, it was started
            may_be_of_engine "$(unit_property ExecMainStatus)" || exit 0
            wait_because "has failed"
            ;;
        esac
        ;;
    service_healthy)
        case $(health_of "$container" "$@") in
        healthy) exit 0 ;;
        none) wait_because "has no health check" ;;
        unhealthy) wait_because "is unhealthy" ;;
        esac
        case $state in inactive | failed) wait_because "is $state" ;; esac
        ;;
    service_completed_successfully)
        case $state in
        active) exit 0 ;;
        inactive | failed) wait_because "is $state" ;;
        esac
        ;;
    *)
        echo "boxship: unknown condition $condition" >&2
        exit 2
        ;;
    esac
    # once a second at first, then seldom: each look starts two programs
    waited=$((waited + 1))
    if [ "$waited" -lt 60 ]; then sleep 1; else sleep 5; fi
done

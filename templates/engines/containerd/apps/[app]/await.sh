#!/bin/sh
# Made by Boxship. Usage: await.sh CTR NAMESPACE CONDITION required|optional CONTAINER UNIT
# Ends when the condition of Compose's depends_on holds. For as long as it does not, a required dependency is waited for
# (it may be restarted, by systemd or by a person), and an optional one that has failed is not.
ctr=$1 namespace=$2 condition=$3 need=$4 container=$5 unit=$6
told='' waited=0

# Tells each reason once; an optional dependency is given up.
wait_because() {
    [ "$told" = "$1" ] || echo "boxship: $unit: $1; $condition is $need"
    told=$1
    [ "$need" = optional ] && exit 0
}

while :; do
    state=$(systemctl show -p ActiveState "$unit" | sed 's/^[^=]*=//')
    case $condition in
    service_started)
        "$ctr" -n "$namespace" tasks ls 2>/dev/null | grep -q "^$container  *[0-9][0-9]*  *RUNNING" && exit 0
        case $state in
        inactive) exit 0 ;; # has run, and ended well
        failed) wait_because "has failed" ;;
        esac
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

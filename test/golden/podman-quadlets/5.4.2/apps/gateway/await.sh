#!/bin/sh
# Made by Boxship. Usage: await.sh DOCKER CONDITION required|optional CONTAINER UNIT
# Ends when the condition of Compose's depends_on holds. For as long as it does not, a required dependency is waited for
# (it may be restarted, by systemd or by a person), and an optional one that has failed is not.
docker=$1 condition=$2 need=$3 container=$4 unit=$5
told='' waited=0

unit_property() {
    systemctl show -p "$1" "$unit" | sed 's/^[^=]*=//'
}

container_property() {
    "$docker" inspect -f "$1" "$container" 2>/dev/null
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
        [ "$(container_property '{{.State.Running}}')" = true ] && exit 0
        case $state in
        inactive) exit 0 ;; # has run, and ended well
        failed)
            # docker's own failures are 125 to 127; 0 is a step before the container. All else came from the app.
            case $(unit_property ExecMainStatus) in
            0 | 125 | 126 | 127) wait_because "could not be started" ;;
            *) exit 0 ;;
            esac
            ;;
        esac
        ;;
    service_healthy)
        health=$(container_property '{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}')
        case $health in
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

# shellcheck shell=sh
# Made by Boxship. What containerd knows of a container: CONTAINER CTR NAMESPACE. Sourced by the scripts beside it.

is_running() {
    "$2" -n "$3" tasks ls 2>/dev/null | grep -q "^$1  *[0-9][0-9]*  *RUNNING"
}

# containerd has no health checks
health_of() {
    echo none
}

# ctr ends with 1 for all that goes wrong with itself, as many apps do
may_be_of_engine() {
    true
}

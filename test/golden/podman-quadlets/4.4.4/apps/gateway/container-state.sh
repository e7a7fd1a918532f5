# shellcheck shell=sh
# Made by Boxship. What docker, or a command like it, knows of a container: CONTAINER DOCKER. Sourced by the scripts beside it.

is_running() {
    [ "$("$2" inspect -f '{{.State.Running}}' "$1" 2>/dev/null)" = true ]
}

# healthy, unhealthy, starting, none; nothing when there is no such container
health_of() {
    "$2" inspect -f '{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}' "$1" 2>/dev/null
}

# Whether a unit that ended with this status may have failed before its app was started: docker's own failures are 125 to 127,
# 0 is a step before the container.
may_be_of_engine() {
    case $1 in 0 | 125 | 126 | 127) true ;; *) false ;; esac
}

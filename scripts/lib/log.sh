# Sourced by the other scripts: one line per step with its time on stderr, and a clear last line.

# die MESSAGE: says what is wrong and what to do about it, then ends the script.
die() {
    printf '%s: %s\n' "$(basename "$0")" "$1" >&2
    exit 1
}

# step LABEL COMMAND...: runs the command, then prints the label and the seconds it took.
step() {
    local label=$1 start=$EPOCHREALTIME
    shift
    "$@"
    printf '%-52s %7.1f s\n' "$label" "$(seconds_since "$start")" >&2
}

# seconds_since EPOCHREALTIME: seconds with one decimal.
seconds_since() {
    # The locale may write the fraction with a comma.
    local from=${1/,/.} now=${EPOCHREALTIME/,/.}
    awk -v a="$from" -v b="$now" 'BEGIN { printf "%.1f", b - a }'
}

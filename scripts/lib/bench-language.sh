# shellcheck shell=bash
# `scripts/bench language`; sourced by it, after common.sh.

# What vscript's time may be of Lua's, by program.
declare -A language_bounds=([calls]=1.0 [for]=1.0 [methods]=1.0 [while]=1.4 [lists]=2.0 [strings]=2.0 [maps]=2.0)
# Milliseconds that `vscript -e 1` may take.
startup_bound=15
# Nanoseconds that a handler that counts events may add to each.
event_bound=100

# COMMAND…: prints the processor time it takes, user and system, in milliseconds.
processor_milliseconds() {
    local TIMEFORMAT='%U %S' times
    times=$({ time "$@" >/dev/null 2>&1; } 2>&1) || fail "$* failed"
    awk '{ printf "%d\n", ($1 + $2) * 1000 + 0.5 }' <<<"$times"
}

# FILE: runs a program under the interpreter of its suffix.
run_program() {
    case $1 in
    *.vscript) "$vscript" "$1" ;;
    *.lua) lua5.4 "$1" ;;
    *.py) /usr/bin/python3 "$1" ;;
    esac
}

bench_language() {
    local rounds=${VSCRIPT_BENCH_ROUNDS:-5} programs=("$@") program suffix round time status=0 outputs
    local -A best
    [ ${#programs[@]} -gt 0 ] || programs=(calls for while methods lists strings maps)
    need_packages lua5.4 python3 libreadline-dev
    need_swift
    swift build --package-path "$repository" -c release --static-swift-stdlib --product vscript --jobs "$(nproc)" >&2
    vscript=$(swift build --package-path "$repository" -c release --show-bin-path)/vscript
    printf '%-10s %9s %9s %9s   %s\n' program vscript lua5.4 python3 'vscript / lua5.4 (bound), / python3'
    for program in "${programs[@]}"; do
        local file=$repository/scripts/language/$program
        # The three must agree before their times mean anything.
        outputs=$(for suffix in vscript lua py; do run_program "$file.$suffix" | tr -s '[:blank:]' ' '; done | sort -u)
        [ "$(wc -l <<<"$outputs")" = 1 ] || fail "$program: the results differ: $outputs"
        best=()
        # Round by round, so that whatever else the machine does meets all three.
        for ((round = 0; round < rounds; round++)); do
            for suffix in vscript lua py; do
                time=$(processor_milliseconds run_program "$file.$suffix")
                if [ -z "${best[$suffix]:-}" ] || [ "$time" -lt "${best[$suffix]}" ]; then best[$suffix]=$time; fi
            done
        done
        awk -v name="$program" -v ours="${best[vscript]}" -v lua="${best[lua]}" -v python="${best[py]}" \
            -v bound="${language_bounds[$program]}" 'BEGIN {
                printf "%-10s %6d ms %6d ms %6d ms   %.2f (%.1f), %.2f\n", name, ours, lua, python, ours / lua, bound, ours / python
                exit ours / lua > bound
            }' || { note "$program takes more than ${language_bounds[$program]} of Lua's time"; status=1; }
    done
    best=()
    for ((round = 0; round < rounds * 4; round++)); do
        for suffix in vscript lua python3; do
            case $suffix in
            vscript) time=$(elapsed_microseconds "$vscript" -e 1) ;;
            lua) time=$(elapsed_microseconds lua5.4 -e 'return 1') ;;
            python3) time=$(elapsed_microseconds /usr/bin/python3 -c 1) ;;
            esac
            if [ -z "${best[$suffix]:-}" ] || [ "$time" -lt "${best[$suffix]}" ]; then best[$suffix]=$time; fi
        done
    done
    awk -v ours="${best[vscript]}" -v lua="${best[lua]}" -v python="${best[python3]}" -v bound="$startup_bound" 'BEGIN {
        printf "%-10s %6.1f ms %6.1f ms %6.1f ms   at most %d ms\n", "start-up", ours / 1000, lua / 1000, python / 1000, bound
        exit ours / 1000 > bound
    }' || { note "start-up takes more than $startup_bound ms"; status=1; }
    bench_events "$rounds" || status=1
    [ "$status" = 0 ] || fail "not every bound holds"
}

# ROUNDS: compares a run whose system calls a handler counts with one without it.
bench_events() {
    local round time way count events=2000000 file=$repository/scripts/language/events.vscript
    local -A best
    count=$("$vscript" "$file" -- --count)
    [ "$count" = "$events" ] || fail "events: $count were counted, not $events"
    for ((round = 0; round < $1; round++)); do
        for way in plain count; do
            time=$(processor_milliseconds "$vscript" "$file" -- "--$way")
            if [ -z "${best[$way]:-}" ] || [ "$time" -lt "${best[$way]}" ]; then best[$way]=$time; fi
        done
    done
    awk -v plain="${best[plain]}" -v counted="${best[count]}" -v events="$events" -v bound="$event_bound" 'BEGIN {
        each = (counted - plain) * 1e6 / events
        printf "%-10s %.2f of a run without a handler, %.0f ns an event (at most %d)\n", "events", counted / plain, each, bound
        exit each > bound
    }' || { note "a handler adds more than $event_bound ns to an event"; return 1; }
}

# COMMAND…: prints the time from its start to its end in microseconds.
elapsed_microseconds() {
    local start=${EPOCHREALTIME/./}
    "$@" >/dev/null 2>&1 || fail "$* failed"
    echo $((${EPOCHREALTIME/./} - start))
}

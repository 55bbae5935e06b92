# shellcheck shell=bash
# `scripts/bench transitions`; sourced by it, after common.sh.

# MODE: boots Linux to its shell and prints the seconds of processor time that took.
#   counted   nothing listens: transitions are only counted
#   recorded  each is kept as a record
boot_with_transitions() {
    local recording=false
    [ "$1" != recorded ] || recording=true
    cat >"$folder/transitions.vscript" <<SCRIPT
import linux
hypervisor h { technique: .$technique }
guest vm on h {
  memory: 256 MiB
  boot: linux.bzImage("$bzimage", initrd: "$initrd", append: "console=ttyS0")
}
vm.transitions.isRecording = $recording
vm.console.wait("\n# ", within: 60 s)
print(vm.transitions.count(), vm.instructions)
SCRIPT
    local TIMEFORMAT='%U'
    { time "$vscript" "$folder/transitions.vscript" >"$folder/transitions.$1" 2>&1; } 2>&1
}

# Prints the median of the numbers on its input.
median() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

# What recording the transitions of a whole boot costs: medians of interleaved boots.
bench_transitions() {
    local techniques=("$@") technique round mode rounds=${VSCRIPT_BENCH_ROUNDS:-5}
    [ ${#techniques[@]} -gt 0 ] || techniques=(bare)
    # shellcheck disable=SC1090
    source <("$repository/scripts/guests" | sed -n 's/^\(bzimage\|initrd\)=\(.*\)$/\1="\2"/p')
    [ -n "${bzimage:+$initrd}" ] || fail "scripts/guests gave no kernel"
    mkdir -p "$folder"
    need_packages libreadline-dev
    need_swift
    swift build --package-path "$repository" -c release --product vscript --jobs "$(nproc)" >&2
    vscript=$(swift build --package-path "$repository" -c release --show-bin-path)/vscript
    for technique in "${techniques[@]}"; do
        rm -f "$folder"/transitions.*.times
        for ((round = 1; round <= rounds; round++)); do
            for mode in counted recorded; do
                note "$technique, round $round of $rounds: $mode"
                boot_with_transitions "$mode" >>"$folder/transitions.$mode.times"
            done
        done
        read -r count instructions <"$folder/transitions.counted"
        echo "$technique: $count transitions in $instructions instructions, $rounds boots each"
        awk -v a="$(median <"$folder/transitions.recorded.times")" -v b="$(median <"$folder/transitions.counted.times")" \
            'BEGIN { printf "recorded / counted %6.3f\n", a / b }'
    done
}

# shellcheck shell=bash
# `scripts/bench techniques`; sourced by it, after common.sh.

# What a boot may take of `.bare`'s time, by technique and paging; 0: no bound.
declare -A technique_bounds=(
    [bare]=1.0 [vmx.nested]=1.3 [translate.shadow]=2.0 [vmx.shadow]=0 [svm.nested]=0 [svm.shadow]=0 [before]=0)

# TECHNIQUE PAGING: prints a script that boots to the shell, works there, and powers off.
technique_script() {
    printf 'import linux\n'
    if [ "$1" = bare ]; then
        printf 'guest vm {\n'
    else
        printf 'hypervisor h { technique: .%s; paging: .%s }\nguest vm on h {\n' "$1" "$2"
    fi
    cat <<SCRIPT
  memory: 256 MiB
  boot: linux.bzImage("$bzimage", initrd: "$initrd", append: "console=ttyS0")
}
vm.console.wait("# ", within: 120 s)
print(vm.console.command("head -c 8388608 /dev/zero | sha256sum", within: 60 s))
vm.console.send("poweroff -f\n")
expect vm.run(within: 60 s).reason == .shutdown
SCRIPT
}

# The median of the numbers on standard input, one a line.
median() { sort -n | awk '{ v[NR] = $1 } END { print (NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2) }'; }

bench_techniques() {
    local rounds=${VSCRIPT_BENCH_ROUNDS:-3} names=("$@") name round script program outputs status=0
    local -A ratios=()
    [ ${#names[@]} -gt 0 ] || names=(vmx.nested vmx.shadow svm.nested svm.shadow translate.shadow)
    [ -z "${VSCRIPT_BENCH_BEFORE:-}" ] || names+=(before)
    # shellcheck disable=SC1090
    source <("$repository/scripts/guests" | sed -n 's/^\(bzimage\|initrd\)=\(.*\)$/\1="\2"/p')
    [ -n "${bzimage:+$initrd}" ] || fail "scripts/guests gave no kernel"
    need_packages libreadline-dev
    need_swift
    swift build --package-path "$repository" -c release --product vscript --jobs "$(nproc)" >&2
    vscript=$(swift build --package-path "$repository" -c release --show-bin-path)/vscript
    mkdir -p "$folder"
    for name in bare "${names[@]}"; do
        [ -n "${technique_bounds[$name]:-}" ] || fail "unknown technique '$name': ${!technique_bounds[*]}"
        script=$folder/$name.vscript
        if [ "$name" = before ]; then technique_script bare; else technique_script "${name%.*}" "${name#*.}"; fi >"$script"
    done
    # Round by round, so that whatever else the machine does meets all of them.
    for ((round = 1; round <= rounds; round++)); do
        local bare=''
        for name in bare "${names[@]}"; do
            program=$vscript
            [ "$name" != before ] || program=$VSCRIPT_BENCH_BEFORE
            local start=$EPOCHREALTIME seconds
            outputs=$(timeout "$limit" "$program" "$folder/$name.vscript") || fail "$name failed: $outputs"
            seconds=$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }')
            [ "$name" != bare ] || bare=$seconds
            ratios[$name]+=$(awk -v a="$seconds" -v b="$bare" 'BEGIN { printf "%.3f", a / b }')$'\n'
            note "round $round of $rounds: $name $(printf '%.1f s' "$seconds")"
        done
    done
    printf '%-18s %s\n' technique 'time / that of .bare, median of rounds (bound)'
    for name in "${names[@]}"; do
        awk -v name="$name" -v ratio="$(printf '%s' "${ratios[$name]}" | median)" -v bound="${technique_bounds[$name]}" \
            -v all="$(printf '%s' "${ratios[$name]}" | tr '\n' ' ')" 'BEGIN {
                bounded = (bound > 0) ? sprintf(" (%.1f)", bound) : ""
                printf("%-18s %.2f%s   %s\n", name, ratio, bounded, all)
                exit bound > 0 && ratio > bound
            }' || { note "$name takes more than ${technique_bounds[$name]} times as long as .bare"; status=1; }
    done
    return "$status"
}

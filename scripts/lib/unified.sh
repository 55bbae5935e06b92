# shellcheck shell=bash disable=SC2154
# Makes a unified kernel image (UAPI.5) of a UEFI stub, a kernel and an initrd; sourced, not run.

# STUB OUTPUT NAME=FILE…: the stub with the files as sections behind its own, at addresses as systemd-stub(7) has them.
unified_image() {
    local stub=$1 output=$2 next arguments=() name file
    shift 2
    # Where the stub's last section ends; sections begin at multiples of SectionAlignment, 4 KiB.
    next=$(objdump -h "$stub" | awk '$1 ~ /^[0-9]+$/ { print "0x" $4, "0x" $3 }' | while read -r address size; do
        echo $((address + size))
    done | sort -n | tail -n 1)
    [ -n "$next" ] || fail "$stub: objdump shows no sections: not a UEFI stub"
    for section in "$@"; do
        name=${section%%=*} file=${section#*=}
        next=$(((next + 4095) & ~4095))
        arguments+=(--add-section "$name=$file" --set-section-flags "$name=data,readonly"
            --change-section-vma "$name=$next")
        next=$((next + $(stat -Lc %s "$file")))
    done
    objcopy "${arguments[@]}" "$stub" "$output" || fail "objcopy could not write $output"
}

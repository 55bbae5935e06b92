# shellcheck shell=bash
# `scripts/bench boot`; sourced by it, after common.sh.

first_line='Linux version'
last_line='reboot: Power down'
command_line='console=ttyS0 rdinit=/bench'
megabytes=256
limit=${VSCRIPT_BENCH_LIMIT:-900}
folder=$cache/bench
bzimage='' initrd='' vscript=''  # set by bench_boot

# NAME COMMAND…: runs the command, which writes the guest's console to the FIFO $folder/NAME.console, and prints the
# seconds from the first to the last line. What it writes elsewhere goes to NAME.log.
measure() {
    local name=$1 console=$folder/$1.console line start='' end='' now pid
    shift
    rm -f "$console" "$folder/$name.text"
    mkfifo "$console"
    # Open for reading and writing, so that neither side waits for the other.
    exec 8<>"$console"
    "$@" >"$folder/$name.log" 2>&1 </dev/null 8<&- &
    pid=$!
    while kill -0 "$pid" 2>/dev/null || [ -n "$start" ]; do
        if ! IFS= read -r -t 5 line <&8; then
            kill -0 "$pid" 2>/dev/null || break
            continue
        fi
        now=$EPOCHREALTIME
        printf '%s\n' "$line" >>"$folder/$name.text"
        [ -n "$start" ] || [[ $line != *"$first_line"* ]] || start=$now
        [[ $line != *"$last_line"* ]] || {
            end=$now
            break
        }
    done
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    exec 8<&-
    rm -f "$console"
    [ -n "$end" ] || {
        note "$name did not get to \"$last_line\"; its last lines (all: $folder/$name.text, $folder/$name.log):"
        tail -n 5 "$folder/$name.text" "$folder/$name.log" >&2 || true
        return 1
    }
    awk -v a="$start" -v b="$end" 'BEGIN { printf "%.2f\n", b - a }'
}

run_vscript() {
    cat >"$folder/boot.vscript" <<SCRIPT
import linux

guest vm {
  memory: $megabytes MiB
  boot: linux.bzImage("$bzimage", initrd: "$initrd", append: "$command_line")
}
vm.console.wait("$first_line", within: $limit s)
print("$first_line")
let stop = vm.console.wait("$last_line", within: $limit s)
print("$last_line")
SCRIPT
    exec timeout "$limit" "$vscript" "$folder/boot.vscript" >"$folder/vscript.console"
}

run_qemu() {
    exec timeout "$limit" qemu-system-x86_64 -accel tcg -m "$megabytes" -kernel "$bzimage" -initrd "$initrd" \
        -append "$command_line" -nodefaults -display none -no-reboot -serial file:"$folder/qemu.console"
}

run_bochs() {
    local iso=$folder/iso
    rm -rf "$iso"
    mkdir -p "$iso/isolinux"
    cp "$bzimage" "$iso/vmlinuz"
    cp "$initrd" "$iso/initrd"
    cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$iso/isolinux"
    cat >"$iso/isolinux/isolinux.cfg" <<CONFIGURATION
DEFAULT linux
LABEL linux
  KERNEL /vmlinuz
  INITRD /initrd
  APPEND $command_line
CONFIGURATION
    xorriso -as mkisofs -quiet -J -R -o "$folder/boot.iso" -b isolinux/isolinux.bin -c isolinux/boot.cat \
        -no-emul-boot -boot-load-size 4 -boot-info-table "$iso"
    rm -rf "$iso"
    cat >"$folder/bochsrc" <<CONFIGURATION
display_library: rfb, options="timeout=0"
romimage: file=/usr/share/bochs/BIOS-bochs-latest, options=fastboot
vgaromimage: file=/usr/share/vgabios/vgabios.bin
megs: $megabytes
cpu: model=core2_penryn_t9600, count=1, ips=50000000, reset_on_triple_fault=0
ata0: enabled=1
ata0-master: type=cdrom, path=$folder/boot.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$folder/bochs.console
clock: sync=none
sound: driver=dummy
speaker: enabled=0
panic: action=fatal
error: action=report
info: action=report
debug: action=ignore
log: $folder/bochs.options
CONFIGURATION
    # A Bochs with its debugger stops before the first instruction.
    echo continue >"$folder/bochs.commands"
    exec timeout "$limit" bochs -q -f "$folder/bochsrc" -rc "$folder/bochs.commands"
}

# What kind of Bochs that was: its own list of build options.
print_bochs_options() {
    echo "Bochs: $(dpkg-query -W -f='${Package} ${Version}' bochs)"
    # Only a Bochs with its debugger knows the option.
    if [[ $(bochs --help 2>&1 || true) == *"debugger commands"* ]]; then echo "  built with its debugger"; fi
    sed -n '/Devices configuration/q; s/^0*i\[ *\] *\([^ ].*\)$/  \1/p' "$folder/bochs.options"
}

bench_boot() {
    local peers=("$@") peer seconds
    local -A times=()
    [ ${#peers[@]} -gt 0 ] || peers=(vscript bochs qemu)
    # shellcheck disable=SC1090
    source <("$repository/scripts/guests" | sed -n 's/^\(bzimage\|initrd\)=\(.*\)$/\1="\2"/p')
    [ -n "${bzimage:+$initrd}" ] || fail "scripts/guests gave no kernel"
    mkdir -p "$folder"
    for peer in "${peers[@]}"; do
        case $peer in
        vscript)
            need_packages libreadline-dev
            need_swift
            swift build --package-path "$repository" -c release --product vscript --jobs "$(nproc)" >&2
            vscript=$(swift build --package-path "$repository" -c release --show-bin-path)/vscript
            ;;
        bochs) need_packages bochs bochs-term bochsbios vgabios isolinux syslinux-common xorriso ;;
        qemu) need_packages qemu-system-x86 ;;
        *) fail "unknown peer '$peer': vscript, bochs or qemu" ;;
        esac
    done
    for peer in "${peers[@]}"; do
        note "booting under $peer"
        if seconds=$(measure "$peer" "run_$peer"); then times[$peer]=$seconds; fi
    done
    echo "kernel $(basename "$bzimage"), $megabytes MiB, \"$command_line\", $(nproc) processors"
    for peer in "${peers[@]}"; do printf '%-8s %10s s\n' "$peer" "${times[$peer]:-failed}"; done
    if [ -n "${times[vscript]:-}" ]; then
        for peer in "${peers[@]}"; do
            if [ "$peer" = vscript ] || [ -z "${times[$peer]:-}" ]; then continue; fi
            awk -v ours="${times[vscript]}" -v theirs="${times[$peer]}" -v peer="$peer" \
                'BEGIN { printf "vscript / %-6s %6.2f\n", peer, ours / theirs }'
        done
    fi
    [ -z "${times[bochs]:-}" ] || print_bochs_options
    [ ${#times[@]} = ${#peers[@]} ] || fail "not every boot came to its end"
}

# shellcheck shell=bash disable=SC2154
# Takes the ELF kernel out of a bzImage; sourced, not run.
# Field offsets: Linux, Documentation/arch/x86/boot.rst.

# FILE OFFSET SIZE: a little-endian number of 1, 2 or 4 bytes.
little_endian() {
    od -An -v -t "u$3" -j "$2" -N "$3" --endian=little "$1" | tr -d ' \n'
}

# BZIMAGE OUTPUT
extract_vmlinux() {
    local image=$1 output=$2 size sectors offset length magic tool
    size=$(stat -Lc %s "$image")
    [ "$size" -ge 1024 ] || fail "$image: $size bytes, too short for a bzImage"
    [ "$(little_endian "$image" 514 4)" = 1400005704 ] || fail "$image: no 'HdrS' at offset 0x202: not a bzImage"
    [ "$(little_endian "$image" 518 2)" -ge 520 ] ||
        fail "$image: boot protocol below 2.08 has no payload_offset field"
    sectors=$(little_endian "$image" 497 1)
    [ "$sectors" != 0 ] || sectors=4
    offset=$(((sectors + 1) * 512 + $(little_endian "$image" 584 4)))
    length=$(little_endian "$image" 588 4)
    ((length > 4 && offset + length <= size)) ||
        fail "$image: payload of $length bytes at $offset does not fit into the file's $size bytes"

    # All formats but gzip carry the unpacked size as four more bytes that their tools refuse.
    local payload=$((length - 4))
    magic=$(od -An -v -t x1 -j "$offset" -N 6 "$image" | tr -d ' \n')
    case $magic in
    fd377a585a00) tool=(xz -dc --single-stream) ;;
    28b52ffd*) tool=(zstd -dcq) ;;
    02214c18*) tool=(lz4 -dcq) ;;
    425a68*) tool=(bzip2 -dc) ;;
    5d0000*) tool=(xz -dc --format=lzma) ;;
    894c5a4f*) tool=(lzop -dc) ;;
    1f8b*) tool=(gzip -dc) payload=$length ;;
    7f454c46*) tool=(cat) payload=$length ;;
    *) fail "$image: the payload at $offset begins with $magic: no compression known here" ;;
    esac
    case ${tool[0]} in
    xz) need_packages xz-utils ;;
    zstd | lz4 | bzip2 | lzop) need_packages "${tool[0]}" ;;
    esac
    head -c $((offset + payload)) "$image" | tail -c "$payload" | "${tool[@]}" >"$output" ||
        fail "$image: ${tool[0]} could not unpack the payload of $payload bytes at $offset"
    check_pvh "$output" "the payload of $image"
}

# ELF NAME: the kernel's note that gives the 32-bit physical entry point, type 18 of owner "Xen"
# (Xen, public/elfnote.h, XEN_ELFNOTE_PHYS32_ENTRY).
check_pvh() {
    [ "$(head -c 4 "$1" | od -An -t x1 | tr -d ' \n')" = 7f454c46 ] || fail "$2 is not an ELF file"
    readelf -nW "$1" 2>/dev/null | grep -Eq '^ +Xen +0x0000000[48].*\(?0x0*12\)?' ||
        fail "$2 has no note XEN_ELFNOTE_PHYS32_ENTRY (a kernel without CONFIG_PVH)"
}

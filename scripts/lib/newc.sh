# shellcheck shell=bash disable=SC2154
# A deterministic writer of cpio archives in the "newc" format that the kernel unpacks
# (Documentation/driver-api/early-userspace/buffer-format.rst); sourced, not run.
#
# newc_archive reads lines of a manifest and writes the archive:
#   dir  PATH MODE
#   file PATH MODE SOURCE
#   link PATH TARGET
#   node PATH MODE MAJOR MINOR     a character device
# Owner root, time 0, inodes in order: the same manifest and files give the same bytes.

newc_inode=0

# PATH MODE LINKS SIZE MAJOR MINOR; the data follows, padded by newc_pad.
newc_header() {
    newc_inode=$((newc_inode + 1))
    printf '070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X' \
        "$newc_inode" "$2" 0 0 "$3" 0 "$4" 0 0 "$5" "$6" "$((${#1} + 1))" 0
    printf '%s\0' "$1"
    newc_pad $((110 + ${#1} + 1))
}

# Pads what is SIZE bytes long to a multiple of four.
newc_pad() {
    local i
    for ((i = $1; i % 4 != 0; i++)); do printf '\0'; done
}

newc_archive() {
    local LC_ALL=C kind path a b c size
    newc_inode=0
    while read -r kind path a b c; do
        case $kind in
        dir) newc_header "$path" $((0040000 | 0$a)) 2 0 0 0 ;;
        node) newc_header "$path" $((0020000 | 0$a)) 1 0 "$b" "$c" ;;
        link)
            newc_header "$path" $((0120777)) 1 ${#a} 0 0
            printf '%s' "$a"
            newc_pad ${#a}
            ;;
        file)
            size=$(stat -Lc %s "$b") || return 1
            newc_header "$path" $((0100000 | 0$a)) 1 "$size" 0 0
            cat "$b" || return 1
            newc_pad "$size"
            ;;
        *)
            echo "newc_archive: unknown kind '$kind'" >&2
            return 1
            ;;
        esac
    done
    newc_header 'TRAILER!!!' 0 1 0 0 0
}

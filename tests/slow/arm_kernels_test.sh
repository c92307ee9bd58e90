#!/bin/sh
# The kernels for 64-bit ARM, compiled by a cross compiler and run under qemu: the kernel check on a
# processor that has every tier and on one that has the lowest; which tiers a processor is found to
# have; and that all of the library compiles. WAGGLE_SOURCE is the project; exits with 77 where a
# tool is missing.
set -eu
[ -z "${WAGGLE_INSTRUMENTED:-}" ] || { echo "the same in every kind of build: not tried"; exit 77; }
cc=aarch64-linux-gnu-gcc
for tool in $cc qemu-aarch64; do
    command -v $tool >/dev/null || { echo "$tool is missing: not tried"; exit 77; }
done
echo '#include <stdlib.h>' | $cc -E - >/dev/null 2>&1 ||
    { echo "$cc has no C library (libc6-dev-arm64-cross): not tried"; exit 77; }

src=$WAGGLE_SOURCE/src
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
flags="-std=c11 -D_POSIX_C_SOURCE=200809L -I$src -I$WAGGLE_SOURCE/include -ffp-contract=off
    -Wall -Wextra -Wshadow -Wconversion -Werror"

compile() { # SOURCE FLAGS...: those of CMakeLists.txt for this file
    file=$1
    shift
    case $file in
    */neondot*) set -- "$@" -march=armv8.2-a+dotprod ;;
    */neoni8mm*) set -- "$@" -march=armv8.2-a+dotprod+i8mm ;;
    esac
    $cc $flags "$@" -c "$file" || { echo "FAILED: $file does not compile"; exit 1; }
}

# --- headers of other libraries are the same for every processor: /usr/include comes last ---
find "$src" -name '*.c' ! -path '*/x86/*' ! -name '*_test.c' ! -name '*_check.c' \
    ! -name '*_fuzz.c' >"$made/sources"
while read -r file; do
    compile "$file" -fsyntax-only -idirafter /usr/include
done <"$made/sources"

# --- the kernels ---
for file in "$src"/kernel/*.c "$src"/kernel/arm/*.c "$src/device/tier.c" \
    "$src/os/posix/machine.c"; do
    case $file in *_check.c) continue ;; esac
    compile "$file" -O2 -o "$made/$(echo "${file#"$src"/}" | tr / _).o"
done
link() { # SOURCE PROGRAM
    $cc -std=gnu11 -D_GNU_SOURCE= -O1 -I"$src" -I"$WAGGLE_SOURCE/include" "$1" "$made"/*.o \
        -static -lm -o "$made/$2"
}
link "$src/kernel/kernel_check.c" kernel_check
cat >"$made/tiers.c" <<'END'
#include "os/machine.h"

#include <stdio.h>

int main(void)
{
    printf("%d%d%d%d%d%d\n", processor_has_avx2(), processor_has_avx512(), processor_has_vnni(),
           processor_has_neon(), processor_has_neondot(), processor_has_neoni8mm());
    return 0;
}
END
link "$made/tiers.c" tiers

expect() { # PROCESSOR TIERS
    got=$(qemu-aarch64 -cpu "$1" "$made/tiers")
    [ "$got" = "$2" ] || { echo "FAILED: $1 is found to have $got, expected $2"; exit 1; }
}
expect cortex-a53 000100
expect neoverse-n1 000110
expect max 000111

check() { # PROCESSOR, LINES that say what is not checked
    qemu-aarch64 -cpu "$1" "$made/kernel_check" "${WAGGLE_SEED:-1}" >"$made/out" ||
        { cat "$made/out"; echo "FAILED: on $1"; exit 1; }
    sed "s/^/$1: /" "$made/out"
    got=$(grep -c 'not checked' "$made/out")
    [ "$got" -eq "$2" ] || { echo "FAILED: $1 leaves $got tiers out, expected $2"; exit 1; }
}
check max 5
check cortex-a53 7

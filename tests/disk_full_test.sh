#!/bin/sh
# A full disk, a read-only mount, a directory where a file should be: a clear error and the right
# exit code, nothing lost, verify clean. WAGGLE names the binary. Mounts small tmpfs's in a
# namespace of its own; exits with 77 where that is not permitted.
set -u

if [ "${1:-}" != inside ]; then
    unshare --mount true 2>/dev/null || { echo "cannot mount here: not tried"; exit 77; }
    exec unshare --mount sh "$0" inside
fi

work=$(mktemp -d) || exit 1
disk=$work/disk
mkdir "$disk"
mount -t tmpfs -o size=12m waggle-test "$disk" 2>/dev/null || {
    rmdir "$disk" "$work"
    echo "cannot mount a tmpfs: not tried"
    exit 77
}
trap 'umount "$disk" 2>/dev/null; rm -rf "$work"' EXIT
failures=0
store=$disk/store
out=$work/out
err=$work/err

fail() {
    echo "FAILED: $*"
    sed 's/^/    /' "$out" "$err"
    failures=$((failures + 1))
}

# run CODE COMMAND...: the command of waggle ends with this code.
run() {
    expected=$1
    shift
    "$WAGGLE" "$@" --store "$store" >"$out" 2>"$err" </dev/null
    got=$?
    [ "$got" -eq "$expected" ] || fail "waggle $*: exit code $got, expected $expected"
    [ "$expected" -eq 0 ] || [ -s "$err" ] || fail "waggle $*: fails without a word"
}

says() {
    grep -qi -- "$1" "$err" || fail "the message does not say \"$1\""
}

# JSON Lines: points FIRST to LAST, of 512 dimensions, the first of which is the id.
points() {
    awk -v first="$1" -v last="$2" 'BEGIN {
        for (r = 0; r < 17; r++)
            for (j = 1; j < 512; j++) tail[r] = tail[r] ", " (r * j) % 17
        for (i = first; i <= last; i++)
            printf "{\"id\": %d, \"payload\": {\"n\": %d}, \"vector\": [%d%s]}\n",
                i, i, i, tail[i % 17]
    }'
}

count() {
    "$WAGGLE" info "$1" --json --store "$store" 2>"$err" | sed 's/.*"count": *\([0-9]*\).*/\1/'
}

# Every point from 0 to the count is there, with its own vector and payload.
check_content() {
    run 0 verify
    kept=$(count docs)
    "$WAGGLE" scroll docs --json --with-vector --store "$store" >"$out" 2>"$err" ||
        fail "scroll after the disk was full"
    awk -v kept="$kept" '
        { n = NR - 1 }
        index($0, "\"id\":" n ",") != 1 + index($0, "{") { print "line " NR ": " $0; exit 1 }
        !match($0, "\"vector\": *\\[ *" n "[,.]") { print "vector of " n ": " $0; exit 1 }
        !match($0, "\"n\": *" n "}") { print "payload of " n ": " $0; exit 1 }
        END { if (NR != kept) { print NR " points, " kept " counted"; exit 1 } }
    ' "$out" >"$work/content" || {
        cat "$work/content"
        fail "the content is not what was acknowledged"
    }
}

# --- full during an import, in batches: those acknowledged stay ---
points 0 499 >"$work/first.jsonl"
points 500 8000 >"$work/more.jsonl"
run 0 create docs --dim 512 --metric dot
run 0 import docs --batch 100 "$work/first.jsonl"
run 6 import docs --batch 100 "$work/more.jsonl"
says space
check_content
kept=$(count docs)
[ "$kept" -ge 500 ] || fail "$kept points are left of the 500 that were acknowledged"
[ $((kept % 100)) -eq 0 ] || fail "$kept points: part of a batch"
echo "the disk was full after $kept points; they are all there"

# --- still full: other writes fail in words or succeed, reading works ---
dd if=/dev/zero of="$disk/rest" bs=4k >/dev/null 2>&1
run 6 import docs "$work/more.jsonl"
says space
check_content
run 0 search docs --id 7
run 0 get docs 1 2 3
for command in "delete docs 8000" "delete docs $((kept - 1))" "create other --dim 2048" \
    "drop other"; do
    # shellcheck disable=SC2086
    "$WAGGLE" $command --store "$store" >"$out" 2>"$err"
    code=$?
    case $code in
    0) echo "$command on a full disk: done" ;;
    3) [ "$command" = "drop other" ] || fail "$command: not found" ;;
    6) says space; echo "$command on a full disk: refused, and says why" ;;
    *) fail "$command on a full disk: exit code $code" ;;
    esac
    run 0 verify
done
check_content
[ "$(count docs)" -ge $((kept - 1)) ] || fail "$(count docs) points are left of $kept"

# --- room again: it goes on; and dropping gives the room back ---
rm "$disk/rest"
run 0 drop docs
run 0 create docs --dim 512 --metric dot
run 0 import docs "$work/first.jsonl"
check_content
[ "$(count docs)" -eq 500 ] || fail "500 points imported, $(count docs) counted"

# --- rows have room, the tables have none: long payloads beside short vectors ---
awk 'BEGIN {
    for (i = 0; i < 4000; i++) text = text "x"
    for (i = 0; i < 500; i++)
        printf "{\"id\": %d, \"payload\": {\"t\": \"%s\"}, \"vector\": [%d, 1]}\n", i, text, i
}' >"$work/long.jsonl"
run 0 create long --dim 2 --metric dot
run 0 import long --limit 20 --batch 10 "$work/long.jsonl"
dd if=/dev/zero of="$disk/rest" bs=4k >/dev/null 2>&1
run 6 import long --batch 10 "$work/long.jsonl"
says space
run 0 verify
long=$(count long)
[ "$long" -ge 20 ] && [ $((long % 10)) -eq 0 ] || fail "$long points with long payloads"
rm "$disk/rest"
run 0 import long "$work/long.jsonl"
[ "$(count long)" -eq 500 ] || fail "500 points imported, $(count long) counted"
run 0 drop long
run 0 verify

# --- full from the first: making a store ---
dd if=/dev/zero of="$disk/rest" bs=4k >/dev/null 2>&1
whole=$store
store=$disk/late
run 6 create docs --dim 64
says space
rm "$disk/rest"
run 0 create docs --dim 64
run 0 verify
store=$whole

# --- a read-only mount: reading works or says why not; writing says why not ---
mount -o remount,ro "$disk"
run 1 import docs "$work/first.jsonl"
says read
run 1 create more --dim 3
says read
run 1 delete docs 1
run 1 drop docs
for command in "search docs --id 7" "verify" "list"; do
    # shellcheck disable=SC2086
    "$WAGGLE" $command --store "$store" >"$out" 2>"$err"
    code=$?
    [ "$code" -eq 0 ] || { [ "$code" -eq 1 ] && [ -s "$err" ]; } ||
        fail "$command on a read-only mount: exit code $code"
    echo "$command on a read-only mount: exit code $code $(head -c 200 "$err")"
done
mount -o remount,rw "$disk"
check_content

# --- a directory where a file should be, a file where a directory should be ---
segment=$(find "$store" -type f ! -name '*.mdb' -size +4k | head -n 1)
mv "$segment" "$work/segment"
mkdir "$segment"
for command in "search docs --id 7" "verify"; do
    # shellcheck disable=SC2086
    "$WAGGLE" $command --store "$store" >"$out" 2>"$err"
    code=$?
    [ "$code" -eq 1 ] || [ "$code" -eq 5 ] ||
        fail "$command with a directory for a segment: exit code $code"
    grep -q "$(basename "$segment")" "$out" "$err" || fail "$command does not name $segment"
done
rmdir "$segment"
mv "$work/segment" "$segment"
check_content
lmdb=$(find "$store" -name data.mdb | head -n 1)
mv "$lmdb" "$work/data.mdb"
mkdir "$lmdb"
"$WAGGLE" list --store "$store" >"$out" 2>"$err"
"$WAGGLE" info docs --store "$store" >"$out" 2>"$err"
code=$?
[ "$code" -ne 0 ] && [ "$code" -lt 126 ] && [ -s "$err" ] ||
    fail "info with a directory for $lmdb: exit code $code"
rmdir "$lmdb"
mv "$work/data.mdb" "$lmdb"
check_content

[ "$failures" -eq 0 ] || { echo "$failures failures"; exit 1; }
echo "a full disk, a read-only one, misplaced directories: all as promised"

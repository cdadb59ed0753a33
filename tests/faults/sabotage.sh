#!/usr/bin/env bash
# Do the tests bite? Each patch beside this script breaks one promise of the library. For each, this
# copies the working tree to a temporary directory, applies the patch, and runs the test that its
# `Test:` line names (a test binary and a filter). That test must fail; this script fails when one
# passes. First the same tests run on an unchanged copy, where they must pass.
#
# Usage: tests/faults/sabotage.sh [PATCH...]      all patches, or these
# The builds go to CARGO_TARGET_DIR, or to target/sabotage, which is kept for the next time.
set -euo pipefail

faults=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$faults/../.." && pwd)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}/sabotage
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

[ $# -gt 0 ] || set -- "$faults"/*.patch
mapfile -t patches < <(realpath -e -- "$@")

fresh_copy() {
    rm -rf "$work/tree"
    mkdir "$work/tree"
    (cd "$root" && git ls-files -z --cached --others --exclude-standard \
        | while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done \
        | tar --create --null --files-from=- --file=-) | tar --extract --touch --file=- -C "$work/tree"
}

# Builds the test binary of a patch; then runs the test.
build_test() { (cd "$work/tree" && cargo test --quiet --locked --test "$1" --no-run 2>"$work/log"); }
run_test() { (cd "$work/tree" && cargo test --quiet --locked --test "$1" "$2" >"$work/log" 2>&1); }

fail() {
    echo "$1" >&2
    tail -n 30 "$work/log" >&2
    exit 1
}

# "binary filter" of a patch.
test_of() { sed -n 's/^Test: //p' "$1"; }

fresh_copy
for patch in "${patches[@]}"; do test_of "$patch"; done | sort -u | while read -r binary filter; do
    build_test "$binary" || fail "$binary does not build"
    run_test "$binary" "$filter" || fail "$binary $filter fails without any patch"
    grep -q '^test result: ok. [1-9]' "$work/log" || fail "$binary has no test $filter"
    echo "green without a patch: $binary $filter"
done

green=0
for patch in "${patches[@]}"; do
    name=$(basename "$patch" .patch)
    read -r binary filter < <(test_of "$patch")
    fresh_copy
    (cd "$work/tree" && git apply "$patch") 2>"$work/log" || fail "$name does not apply"
    build_test "$binary" || fail "$name does not build"
    if run_test "$binary" "$filter"; then
        echo "STILL GREEN: $name, $binary $filter"
        green=$((green + 1))
    else
        grep -q '^test result: FAILED' "$work/log" || fail "$name: $binary did not run"
        echo "red: $name, $binary $filter"
    fi
done
echo "${#patches[@]} patches, $green without effect"
[ "$green" -eq 0 ]

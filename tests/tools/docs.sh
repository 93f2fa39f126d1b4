#!/bin/sh
# SPDX-License-Identifier: MIT
# What the documents say of the tree is so.
set -u
. tests/harness/shell.sh

# shown FILE -- the code block of README.md that follows the mark `<!-- FILE -->`.
shown() {
    awk -v mark="<!-- $1 -->" '
        $0 == mark { found = 1; next }
        found && /^```/ { if (inside) exit; inside = 1; next }
        inside' README.md
}

for file in examples/echo.c examples/ask.c; do
    shown $file >"$dir/shown"
    check "README.md shows $file as it is" "$(diff "$dir/shown" $file 2>&1)" = ""
done

# Links to files of the tree, from the folder of the document.
for document in *.md docs/*.md; do
    grep -o '](\([^)#:]*\)[)#]' "$document" | sed 's/^](//; s/[)#]$//' | sort -u |
        while read -r link; do
            [ -e "$(dirname "$document")/$link" ] || echo "$document: $link"
        done
done >"$dir/lost"
check "every link leads to a file" "$(cat "$dir/lost")" = ""

# Tests named in docs/design.md: `file_test.c: a_name_of_a_test`.
# shellcheck disable=SC2016 # Markdown's own quotes
grep -oE '`[a-z0-9_/]+_test\.c: [a-z0-9_]+`' docs/design.md | tr -d '`' | sort -u >"$dir/tests"
while IFS=': ' read -r file name; do
    grep -qE "^TEST[A-Z_]*\(${name}[,)]" "tests/$file" 2>/dev/null || echo "$file: $name"
done <"$dir/tests" >"$dir/lost"
check "every test that design.md names is there" "$(cat "$dir/lost")" = ""
check "and it names some" "$(wc -l <"$dir/tests")" != "0"

# Scripts and files of tests named in docs/calls.md: `calls: NAME`, `net/NAME_test.c`.
"$B/tests/calls/calls" -l | sort -u >"$dir/scripts"
# shellcheck disable=SC2016 # Markdown's own quotes
grep -oE '`calls: [^`]+`' docs/calls.md | sed 's/`calls: //; s/`//' | sort -u >"$dir/tests"
check "every script that calls.md names is there" "$(comm -23 "$dir/tests" "$dir/scripts")" = ""
check "and it names many" "$([ "$(wc -l <"$dir/tests")" -gt 150 ] && echo yes)" = "yes"
# shellcheck disable=SC2016
grep -oE '`(net|unit)/[a-z_]+\.c`' docs/calls.md | tr -d '`' | sort -u |
    while read -r file; do
        [ -e "tests/$file" ] || echo "$file"
    done >"$dir/lost"
check "so is every file" "$(cat "$dir/lost")" = ""

# Make targets that the documents tell people to type.
# shellcheck disable=SC2016 # Markdown's own quotes
grep -ohE '(^    |`)make [a-z][a-z-]*' ./*.md docs/*.md | sed 's/.*make //' | sort -u |
    while read -r target; do
        grep -qE "^$target:" Makefile || echo "$target"
    done >"$dir/lost"
check "every make target that is named is there" "$(cat "$dir/lost")" = ""

total

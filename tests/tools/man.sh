#!/bin/sh
# SPDX-License-Identifier: MIT
# The pages of docs/man3 are what the headers and the table of `tenon explain` say, and mandoc
# finds nothing to complain about.
set -u
. tests/harness/shell.sh

check "docs/man3 is fresh" "$(tools/gen-man --check 2>&1; echo $?)" = "0"
mkdir "$dir/tree"
cp -r tools cli include docs Makefile "$dir/tree"
echo "old" >>"$dir/tree/docs/man3/tn_fd_recv.3"
touch "$dir/tree/docs/man3/tn_gone.3"
check "a page that is stale, or one too many, is found" \
    "$("$dir/tree/tools/gen-man" --check 2>&1)" = "*stale: tn_gone tn_fd_recv;*"
sed -i 's/the number is not an open descriptor/it is not one/' "$dir/tree/cli/explain_errno.def"
check "the table feeds the pages" \
    "$("$dir/tree/tools/gen-man" --write && grep -c "^it is not one" "$dir/tree/docs/man3/tn_fd_recv.3")" = "1"
if command -v mandoc >"$dir/log"; then
    for page in docs/man3/*.3; do
        mandoc -T lint "$page"
    done >"$dir/lint" 2>&1
    check "mandoc has nothing to complain about" "$(cat "$dir/lint")" = ""
else
    skip "mandoc has nothing to complain about" "mandoc is not installed"
fi

total

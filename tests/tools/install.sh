#!/bin/sh
# SPDX-License-Identifier: MIT
# What `make install` puts in place is enough to build and run a program with.
set -u
. tests/harness/shell.sh

root=$dir/root prefix=/opt/tenon
CC=${CC:-gcc}
flags="-std=c11 -Wall -Wextra -Wpedantic -Werror ${SAN:+-fsanitize=$SAN}"
export PKG_CONFIG_PATH="$root$prefix/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$root"
unset MAKEFLAGS MAKELEVEL MFLAGS LD_LIBRARY_PATH

made() {
    make --no-print-directory "$1" B="$B" CC="$CC" SAN="${SAN:-}" DESTDIR="$root" \
        PREFIX=$prefix >"$dir/log" 2>&1
    echo "$? $(cat "$dir/log")"
}

# linked NAME FLAGS... -- compile the program with what pkg-config says, and FLAGS.
linked() {
    name=$1
    shift
    # shellcheck disable=SC2046,SC2086 # lists of words
    $CC $flags -o "$dir/$name" "$dir/hello.c" "$@" 2>"$dir/log"
    echo "$? $(grep -v "statically linked\|in function\|requires at runtime" "$dir/log")"
}

cat >"$dir/hello.c" <<'END'
#include <stdio.h>
#include <tenon.h>

static tn_err hello(void *arg)
{
    char byte = 0;
    struct tn_conn *near = NULL, *far = NULL;
    size_t got;
    tn_err err = tn_pair(&near, &far);

    if (!tn_failed(err))
        err = tn_write(near, "x", 1, NULL, tn_in(TN_SECOND));
    if (!tn_failed(err))
        err = tn_read(far, &byte, 1, &got, tn_in(TN_SECOND));
    tn_abort(&near);
    tn_abort(&far);
    *(char *)arg = byte;
    return err;
}

int main(void)
{
    char text[128], byte = 0;
    tn_err err = tn_run(hello, &byte, NULL);

    printf("%c %s\n", byte, tn_err_text(err, text, sizeof(text)));
    return tn_failed(err);
}
END

check "make install succeeds" "$(made install)" = "0 *"
[ "$failed" = 0 ] || total
check "the version is that of tenon.pc" \
    "$(pkg-config --modversion tenon)" = "$(sed -n 's/^VERSION := //p' Makefile)"

# shellcheck disable=SC2046 # lists of words
{
    check "a program links with the shared library" \
        "$(linked shared $(pkg-config --cflags --libs tenon))" = "0 "
    check "and needs it by its version's name" \
        "$(readelf -d "$dir/shared")" = "*NEEDED*libtenon.so.0]*"
    check "and runs" \
        "$(LD_LIBRARY_PATH=$root$prefix/lib "$dir/shared" 2>&1)" = "x success"
    if command -v "${CXX:-g++}" >"$dir/log"; then
        check "a C++ program links as well" "$("${CXX:-g++}" -std=c++11 -Wall -Wextra -Werror \
            ${SAN:+-fsanitize=$SAN} -x c++ "$dir/hello.c" -x none -o "$dir/cxx" \
            $(pkg-config --cflags --libs tenon) 2>&1)" = ""
        check "and runs" "$(LD_LIBRARY_PATH=$root$prefix/lib "$dir/cxx" 2>&1)" = "x success"
    else
        skip "a C++ program links as well" "no C++ compiler"
    fi
    if [ -n "${SAN:-}" ]; then
        skip "a program links statically" "sanitizers do not"
    else
        check "a program links statically" \
            "$(linked static -static $(pkg-config --static --cflags --libs tenon))" = "0 "
        check "and runs" "$("$dir/static" 2>&1)" = "x success"
    fi
    rm "$root$prefix"/lib/libtenon.so*
    check "a program links with libtenon.a alone" \
        "$(linked archive $(pkg-config --static --cflags --libs tenon))" = "0 "
    check "and runs" "$("$dir/archive" 2>&1)" = "x success"
}

check "the command is installed" "$("$root$prefix/bin/tenon" --version 2>&1)" = "tenon *"
calls=$(sed -n 's/^TN_API.* \**\(tn_fd_[a-z0-9]*\)(.*/\1/p' include/tenon/fd.h)
for call in $calls; do
    grep -q "^$call\|[, ]$call" "$root$prefix/share/man/man3/$call.3" || echo "$call"
done >"$dir/lost" 2>&1
check "every socket call has its page" "$(cat "$dir/lost")" = ""
check "and there are many" "$(echo "$calls" | wc -w)" = "26"
for file in bash-completion/completions/tenon zsh/site-functions/_tenon \
    fish/vendor_completions.d/tenon.fish man/man1/tenon.1; do
    check "$file is installed" "$(grep -c tenon "$root$prefix/share/$file" >/dev/null && echo yes)" = yes
done
check "make uninstall succeeds" "$(made uninstall)" = "0 *"
check "and leaves nothing behind" "$(find "$root" ! -type d)" = ""

total

#!/bin/sh
# SPDX-License-Identifier: MIT
# Each check finds a planted fault, and nothing in a tree without one.
set -u
. tests/harness/shell.sh

checks=$PWD/tools/checks
tree=$dir/tree
unset CC CXX

# A small project in the form of this one: two layers, one public header, its libraries.
fresh() {
    rm -rf "$tree"
    mkdir -p "$tree/include/tenon" "$tree/src/base" "$tree/src/os" "$tree/src/net" \
        "$tree/cli" "$tree/tests/unit" "$tree/tools/checks"
    cp .clang-format "$tree/"
    printf 'base err.h\nos\nnet conn.h\nexcept net/dial.c write for a reason\n' \
        >"$tree/src/LAYERS"
    put include/tenon/err.h '#ifndef TENON_ERR_H
#define TENON_ERR_H

#define TN_API  __attribute__((visibility("default")))
#define TN_MUST __attribute__((warn_unused_result))

typedef struct tn_err {
    int kind;
} tn_err;

#endif'
    put include/tenon/conn.h '#ifndef TENON_CONN_H
#define TENON_CONN_H

#include <tenon/err.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * tn_dial -- connect.
 *
 * Errors: none.
 */
TN_API TN_MUST tn_err tn_dial(void);

/* tn_hang_up, tn_hang_on -- the opposite; or not (see tn_dial). */
TN_API void tn_hang_up(void);
TN_API void tn_hang_on(void);

#ifdef __cplusplus
}
#endif

#endif'
    put src/base/base.h '#ifndef BASE_BASE_H
#define BASE_BASE_H

int base_one(void);

#endif'
    put src/base/base.c '#include "base/base.h"

int base_one(void)
{
    return 1;
}'
    put src/net/dial.c '#include <tenon/conn.h>
#include <unistd.h>

#include "base/base.h"

int net_two(void);

int net_two(void)
{
    return base_one() + (int)write(1, "two", 3);
}

tn_err tn_dial(void)
{
    tn_err err = { net_two() };
    return err;
}

void tn_hang_up(void)
{
}

void tn_hang_on(void)
{
}'
    put tests/unit/some_test.c '/* sleep(1) and strcpy(a, b) in a comment, */
const char *words = "sleep(1), or in words, are no calls";'
    printf 'tn_dial\ntn_hang_on\ntn_hang_up\n' >"$tree/src/exports.list"
}

# put FILE TEXT -- write FILE of the tree, with the opening that every file has.
put() {
    printf '/* SPDX-License-Identifier: MIT */\n/* %s -- a file. */\n%s\n' \
        "$(basename "$1")" "$2" >"$tree/$1"
}

# add FILE TEXT -- append to FILE of the tree.
add() {
    printf '%s\n' "$2" >>"$tree/$1"
}

build() {
    (
        cd "$tree" && rm -rf build && mkdir -p build/src/base build/src/os build/src/net
        for file in src/*/*.c; do
            gcc -std=gnu11 -Iinclude -Isrc -fPIC -fvisibility=hidden -c \
                -o "build/${file%.c}.o" "$file" || exit
        done
        gcc -shared -o build/libtenon.so build/src/*/*.o
        ld -r -o build/all.o build/src/*/*.o
        objcopy --localize-hidden build/all.o
        ar rcs build/libtenon.a build/all.o
    ) || fail "the planted tree does not build"
}

# finds WHAT CHECK PATTERN -- CHECK fails in the tree and says a line like PATTERN.
finds() {
    out=$(cd "$tree" && B=build "$checks/$2" 2>&1)
    check "$2 finds $1" "$? $out" = "1 *$3*"
    fresh
}

fresh
build
for name in format layers headers docs exports tidy patches; do
    out=$(cd "$tree" && B=build "$checks/$name" 2>&1)
    check "$name is content with a good tree" "$? $out" = "0 "
done

put src/base/base.c 'int   base_one( void );'
finds "a line that clang-format writes otherwise" format "base.c:3:*error"

build
put src/base/up.c '#include "net/net.h"'
finds "an include of a higher layer" layers "src/base/up.c:3: base includes net/net.h of net"
build
put src/base/up.c '#include <tenon/conn.h>'
finds "an include of a higher layer's public header" layers "base includes tenon/conn.h of net"
build
put src/base/up.c '#include "net.h"'
finds "an include that does not name its layer" layers "should start with its layer"
build
add include/tenon/err.h '#include <tenon/conn.h>'
finds "a public header of a higher layer in a lower one" layers "base includes <tenon/conn.h>"
build
add include/tenon/err.h '#include "base/base.h"'
finds "an inner header in a public one" layers "a public header includes"
build
put include/tenon/new.h ''
finds "a public header without a layer" layers "new.h: belongs to no layer"
build
put cli/main.c '#include "base/base.h"'
finds "an inner header in the command" layers 'cli/main.c:3: "base/base.h" is not its own'
build
mkdir "$tree/src/extra"
put src/extra/extra.c ''
finds "a folder that is no layer" layers "src/extra is no layer"
add src/base/base.c 'int net_two(void); int base_two(void) { return net_two(); }'
build
finds "a call of a higher layer" layers "src/base/base.c: base uses net_two of net"
add src/base/base.c '#include <unistd.h>
int base_two(void) { return close(1); }'
build
finds "a system call outside of os" layers "src/base/base.c: uses close: system calls belong"
finds "that nothing was built" layers "no objects"

add include/tenon/err.h 'size_t tn_size(void);'
finds "a header that needs another one" headers "err.h: does not compile alone as C11"
add include/tenon/err.h 'int *new;'
finds "a header that is no C++" headers "err.h: does not compile alone as C++11"
add src/base/base.h 'uint8_t base_byte;'
finds "an inner header that needs another one" headers "src/base/base.h: does not"

add include/tenon/err.h 'TN_API int tn_size(void);'
finds "a call without a comment" docs "err.h:*tn_size: the comment in front should open"
add include/tenon/err.h '/* tn_other -- something. */
TN_API int tn_size(void);'
finds "a comment of another call" docs "tn_size: the comment in front should open"
add include/tenon/err.h '/* tn_size -- something. */
TN_API TN_MUST tn_err tn_size(void);'
finds "errors that are not named" docs "tn_size: returns a tn_err, but no 'Errors:'"
add include/tenon/conn.h '/* tn_size -- something.  Errors: none. */
TN_API tn_err tn_size(void);'
finds "an error that can be overlooked" docs "tn_size: gives a tn_err, so it should be TN_MUST"
add include/tenon/err.h '/* As tn_gone and TN_GONE. */'
finds "a name that is not there" docs "there is no tn_gone"

build
add src/exports.list tn_zebra
finds "a name of the list that no header has" exports "tn_zebra is only in the list"
build
printf 'tn_hang_on\ntn_hang_up\n' >"$tree/src/exports.list"
finds "a call that the list lacks" exports "tn_dial is only in a header"
add src/base/base.c '__attribute__((visibility("default"))) int tn_more(void) { return 1; }'
build
finds "an export that the list lacks" exports "libtenon.so: exports tn_more"
put src/net/dial.c ''
build
finds "a promise that is not kept" exports "libtenon.so: lacks tn_dial"
add src/base/base.c '__attribute__((visibility("default"))) int leak(void) { return 1; }'
build
finds "a strange name in the static library" exports "libtenon.a: defines leak"

yes ';' | head -501 >>"$tree/src/base/base.c"
finds "a file that is too long" tidy "src/base/base.c: 50? lines*[lines]"
{ printf 'int many(int a,\n         int b)\n{\n'; yes '    a++;' | head -61; echo '}'; } \
    >>"$tree/src/base/base.c"
finds "a function that is too long" tidy "many has 61 lines"
for call in strcpy sprintf strtok atoi gmtime alloca; do
    add src/base/base.c "int x = $call (a);"
    finds "a call of $call" tidy "src/base/base.c:*$call: "
done
for call in sleep usleep nanosleep; do
    add tests/unit/some_test.c "int x = $call(a);"
    finds "a test that calls $call" tidy "some_test.c:5: $call: "
done
printf 'true; sl%s 1\n' eep >"$tree/tests/unit/some.sh"
finds "a shell test that sleeps" tidy "some.sh:1: sleeps"
add src/base/base.c "/* FIX""ME: later */"
finds "something left to do" tidy "left to do"
put src/base/base.h 'int base_one(void);'
finds "a header without its guard" tidy "base.h: has no guard BASE_BASE_H"
printf '/* SPDX-License-Identifier: MIT */\nint x;\n' >"$tree/src/base/base.c"
finds "a file without its opening" tidy "base.c:2: does not open with"
printf 'src/base/base.c: strcpy: it is fine here\n' >"$tree/tools/checks/tidy.allow"
finds "an exception that nothing needs" tidy "not needed any more"
printf 'src/base/base.c: strcpy: fine\n' >"$tree/tools/checks/tidy.allow"
add src/base/base.c 'int x = strcpy(a, b);'
finds "an exception without a reason" tidy "no reason is given"
printf 'src/base/base.c: strcpy: it is fine here\n' >"$tree/tools/checks/tidy.allow"
add src/base/base.c 'int x = strcpy(a, b);'
out=$(cd "$tree" && "$checks/tidy")
check "an exception with a reason is accepted" "$? $out" = "0 "

mkdir -p "$tree/tests/mutants"
printf -- '--- a/src/base/base.c\n+++ b/src/base/base.c\n@@ -1 +1 @@\n-int gone;\n+int here;\n' \
    >"$tree/tests/mutants/gone.patch"
finds "a mutant that no longer applies" patches "tests/mutants/gone.patch: no longer applies"

total

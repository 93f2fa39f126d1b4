#!/bin/sh
# explain_test.sh -- `tenon explain` knows every name, guesses the misspelt ones, speaks
# Chinese when the locale's name says so, and keeps to 78 columns.
#
# TENON names the binary.  One line for each check; exits 1 when any failed.
set -u

: "${TENON:?set TENON to the tenon binary}"
top=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset LC_ALL LC_MESSAGES LANG
failures=0

# check SENTENCE COMMAND... -- run the command and say whether it held.
check() {
    sentence=$1
    shift
    if "$@" >"$work/check" 2>&1; then
        echo "ok - $sentence"
    else
        echo "not ok - $sentence"
        sed 's/^/# /' "$work/check"
        failures=$((failures + 1))
    fi
}

explain() { "$TENON" explain "$@"; }

# says TEXT NAME... -- explaining the names succeeds, and the answer holds the text.
says() {
    text=$1
    shift
    explain "$@" >"$work/out" && grep -qF -- "$text" "$work/out"
}

# begins_with TEXT NAME -- the first line of the answer.
begins_with() {
    explain "$2" >"$work/out" || return 1
    [ "$(head -n 1 "$work/out")" = "$1" ] || { head -n 1 "$work/out"; return 1; }
}

# refuses TEXT NAME -- exit 2, nothing on standard output, one line that holds the text.
refuses() {
    explain "$2" >"$work/out" 2>"$work/err"
    [ $? -eq 2 ] && [ ! -s "$work/out" ] && [ "$(wc -l <"$work/err")" -eq 1 ] &&
        grep -qF -- "$1" "$work/err"
}

# in_locale VARIABLE=VALUE... TEXT NAME -- as says, with these variables set.
in_locale() {
    vars=
    while case $1 in *=*) true ;; *) false ;; esac; do
        vars="$vars $1"
        shift
    done
    # shellcheck disable=SC2086
    env $vars "$TENON" explain "$2" >"$work/out" && grep -qF -- "$1" "$work/out"
}

# complete_errno NAME -- prints with its name, its number, its calls, its bytes, its advice.
complete_errno() {
    explain "$1" >"$work/out" || return 1
    grep -q "^$1 (errno [0-9]*, \"..*\")$" "$work/out" &&
        grep -q '^Which calls, and when$' "$work/out" &&
        grep -q '^What happened to the bytes$' "$work/out" &&
        grep -q '^What to do$' "$work/out" || return 1
    LC_ALL=zh_CN.UTF-8 "$TENON" explain "$1" >"$work/out" || return 1
    grep -q '^字节怎么样了$' "$work/out" && grep -q '^怎么办$' "$work/out"
}

# complete_call NAME -- its signature, its task, its result, its errors; by both names.
complete_call() {
    explain "$1" >"$work/out" && explain "tn_fd_$1" >"$work/out2" || return 1
    cmp "$work/out" "$work/out2" && grep -q "^  .*[ *]$1(.*" "$work/out" &&
        grep -q '^The task$' "$work/out" && grep -q '^Errors$' "$work/out" &&
        grep -q '^  E[A-Z]* ' "$work/out"
}

# names KIND -- every name of that kind, from the JSON list.
names() { explain --json | sed -n "s/^{\"v\":1,\"name\":\"\([^\"]*\)\",\"kind\":\"$1\".*/\1/p"; }

# fits LOCALE -- no line of any answer is wider than 78 columns (Chinese counts double).
fits() {
    [ "$(explain | wc -l)" -gt 100 ] || return 1
    { LC_ALL=$1 "$TENON" explain
      for name in $(names '[a-z]*'); do LC_ALL=$1 "$TENON" explain "$name"; done; } |
        LC_ALL=C awk '{ w = $0; wide = gsub(/[\340-\357][\200-\277][\200-\277]/, "", w)
                        if (length(w) + 2 * wide > 78) { print; bad = 1 } } END { exit bad }'
}

json_is_valid() {
    explain --json >"$work/out" && explain --json 'EAGIN' recv >>"$work/out" || return 1
    LC_ALL=zh_CN.UTF-8 "$TENON" explain --json >>"$work/out" || return 1
    python3 -c 'import json, sys
entries = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
assert len(entries) > 200
names = {entry["name"] for entry in entries}
for entry in entries:
    assert entry["title"], entry
    for other in entry["see"]:
        assert other in names, (entry["name"], other)
    for when in entry.get("when", []):
        for call in when["calls"]:
            assert call in names, (entry["name"], call)
    if entry["kind"] == "errno":
        assert entry["when"] and entry["bytes"] and entry["advice"], entry' "$work/out"
}

# not_written -- a full device is exit 8 and one line; a reader that left is not an error.
not_written() {
    [ -w /dev/full ] || return 0
    explain EPIPE >/dev/full 2>"$work/err"
    [ $? -eq 8 ] && [ "$(wc -l <"$work/err")" -eq 1 ]
}

errnos='EPERM ENOENT ESRCH EINTR EIO ENXIO EBADF EAGAIN ENOMEM EACCES EFAULT EBUSY ENODEV
ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY EFBIG ENOSPC EROFS EPIPE EDOM EDEADLK
ENAMETOOLONG ENOLCK ENOSYS ELOOP ENOSR ENONET ENOPKG EPROTO ENOTSOCK EDESTADDRREQ EMSGSIZE
EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EAFNOSUPPORT EADDRINUSE
EADDRNOTAVAIL ENETDOWN ENETUNREACH ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN
ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS EDQUOT
ECANCELED'
calls='socket connect close shutdown read write send recv sendto recvfrom readv writev
sendmsg recvmsg fcntl ioctl getsockopt setsockopt bind listen accept poll'
others='MSG_DONTWAIT MSG_ERRQUEUE MSG_OOB MSG_PEEK MSG_TRUNC MSG_WAITALL MSG_NOSIGNAL
MSG_CTRUNC SHUT_RD SHUT_WR SHUT_RDWR O_NONBLOCK FIONBIO SOCK_STREAM SOCK_DGRAM AF_INET
INADDR_ANY SIGPIPE backlog SO_RCVTIMEO SO_SNDTIMEO SO_RCVLOWAT SO_LINGER errno iovec msghdr'

for name in $errnos; do
    check "$name is explained in both languages" complete_errno "$name"
done
known=$(echo "$errnos" | tr '\n' ' ')
for name in $(names errno); do
    case " $known " in
    *" $name "*) ;;
    *) check "$name of the table is explained in both languages" complete_errno "$name" ;;
    esac
done
for name in $calls; do
    check "$name is explained, by its tenon name too" complete_call "$name"
done
for name in $others; do
    check "$name is explained" says "$name" "$name"
done

check "EAGIN is EAGAIN" begins_with 'EAGIN is misspelt: the right name is EAGAIN.' EAGIN
check "SHUT_RE is SHUT_RD" begins_with 'SHUT_RE is misspelt: the right name is SHUT_RD.' SHUT_RE
check "MSG_WERRQUEUE is MSG_ERRQUEUE" \
    begins_with 'MSG_WERRQUEUE is misspelt: the right name is MSG_ERRQUEUE.' MSG_WERRQUEUE
check "sendv is writev" begins_with 'sendv is misspelt: the right name is writev.' sendv
check "EWOULDBLOCK is EAGAIN, and not misspelt" begins_with 'EWOULDBLOCK is EAGAIN.' EWOULDBLOCK
check "CTRUNC is MSG_CTRUNC" begins_with 'CTRUNC is MSG_CTRUNC.' CTRUNC
check "lower case will do" begins_with 'EPIPE (errno 32, "Broken pipe")' epipe
check "a number will do" begins_with 'EPIPE (errno 32, "Broken pipe")' 32
check "a kernel's negative number will do" begins_with 'EPIPE (errno 32, "Broken pipe")' -32
check "perror's message will do" says 'EPIPE (errno 32' 'Broken pipe'
check "two names are two answers" says 'SIGPIPE (0xd)' EPIPE SIGPIPE

check "a near name is suggested" refuses 'did you mean ECONNRESET?' ECONRESET
check "two letters swapped are near" refuses 'did you mean EPIPE?' EIPPE
check "a far name is refused in one line" refuses 'lists what there is' xyzzy
check "a number that is no errno of ours is refused" refuses 'no such name' 9999
check "an empty name is refused" refuses 'no such name' ''
check "a very long name is refused" refuses 'no such name' "$(printf '%0500d' 0 | tr 0 E)"
check "an unknown option is refused" refuses 'unknown option --frob' --frob

check "LC_ALL=zh_CN.UTF-8 speaks Chinese" in_locale LC_ALL=zh_CN.UTF-8 怎么办 EPIPE
check "LC_MESSAGES=zh_TW speaks Chinese" in_locale LC_MESSAGES=zh_TW.utf8 怎么办 EPIPE
check "LANG=zh_CN without a character set speaks Chinese" in_locale LANG=zh_CN 怎么办 EPIPE
check "LC_ALL=C goes before LANG=zh_CN" in_locale LC_ALL=C LANG=zh_CN.UTF-8 'What to do' EPIPE
check "an empty LC_ALL counts as unset" in_locale LC_ALL= LANG=zh_CN.UTF-8 怎么办 EPIPE
check "a character set we cannot print speaks English" \
    in_locale LANG=zh_CN.GB18030 'What to do' EPIPE
check "the misspelt name is pointed out in Chinese" \
    in_locale LC_ALL=zh_CN.UTF-8 'EAGIN 拼错了：正确的名字是 EAGAIN。' EAGIN

check "no name lists what there is" says 'ECONNREFUSED'
check "English keeps to 78 columns" fits C
check "Chinese keeps to 78 columns" fits zh_CN.UTF-8
check "a full device is exit 8" not_written
if command -v python3 >/dev/null; then
    check "the JSON is valid and its references hold" json_is_valid
else
    echo "ok - the JSON is valid and its references hold # SKIP no python3"
fi
if command -v "${CC:-cc}" >/dev/null; then
    check "docs/errors.md is fresh" "$top/tools/gen-explain" --check
else
    echo "ok - docs/errors.md is fresh # SKIP no compiler"
fi

[ "$failures" -eq 0 ]

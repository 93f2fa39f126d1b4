#!/bin/sh
# SPDX-License-Identifier: MIT
# The socket calls are the kernel's own: the short form of `make calls`, with one kind of
# descriptor for each call, flag and state.

# The actors of the plain way are threads that watch each other, and not what ThreadSanitizer
# is for: under it the two drivers are compared.
[ "${SAN:-}" = thread ] && exec "$B/tests/calls/calls" -w epoll,uring -t
exec "$B/tests/calls/calls" -t

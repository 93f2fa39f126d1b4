#!/bin/sh
# SPDX-License-Identifier: MIT
# And they are while a signal comes every millisecond: `make calls` has both storms, and all
# scripts; this is its short form, without SA_RESTART.

# The actors of the plain way are threads that watch each other, and not what ThreadSanitizer
# is for: under it the two drivers are compared.
[ "${SAN:-}" = thread ] && exec "$B/tests/calls/calls" -w epoll,uring -t -S no-restart
exec "$B/tests/calls/calls" -t -S no-restart

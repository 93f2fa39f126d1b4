/* SPDX-License-Identifier: MIT */
/*
 * tenon.h -- all of tenon: straight-line network code in tasks.
 *
 * Each header below is the manual of its part.
 */
#ifndef TENON_H
#define TENON_H

#include <tenon/err.h>
#include <tenon/time.h>
#include <tenon/task.h>
#include <tenon/sync.h>
#include <tenon/loop.h>
#include <tenon/addr.h>
#include <tenon/conn.h>
#include <tenon/fd.h>
#include <tenon/pump.h>

#endif

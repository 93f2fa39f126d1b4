/* SPDX-License-Identifier: MIT */
/*
 * member.h -- reading the objects of control.h: members of one flat JSON object.
 */
#ifndef TENON_CLI_MEMBER_H
#define TENON_CLI_MEMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * member_text -- the value of the member NAME of the object LINE, as text without quotes, in
 * BUF of SIZE; returns BUF, which is "" if there is no such member.
 */
const char *member_text(const char *line, const char *name, char *buf, size_t size);

/* member_number -- the same as a whole number; 0 if there is none. */
uint64_t member_number(const char *line, const char *name);

/* member_is -- whether the member NAME is just TEXT. */
bool member_is(const char *line, const char *name, const char *text);

#endif

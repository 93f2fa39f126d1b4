/* SPDX-License-Identifier: MIT */
/*
 * page.c -- the dashboard's page, which assets.S has put together.
 */
#include "dash/dash.h"

extern const char dash_page_begin[], dash_page_end[];

const char *dash_page(void *arg, struct control_answer *answer)
{
    (void)arg;
    control_add_text(answer, dash_page_begin,
                     (size_t)((uintptr_t)dash_page_end - (uintptr_t)dash_page_begin));
    return "text/html; charset=utf-8";
}

/* SPDX-License-Identifier: MIT */
/*
 * explain_fuzz.c -- what somebody may type behind `tenon explain`, and text in columns.
 */
#include "fuzz.h"

#include "explain_find.h"
#include "explain_wrap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct found found;

    memset(&found, 0xff, sizeof(found));
    find_entry(text, &found);
    if (found.entry != NULL) {
        fuzz_must(found.entry->name != NULL);
        fuzz_must(!found.misspelt || found.renamed);
    } else {
        fuzz_must(found.near_count <= FIND_SUGGESTIONS);
        for (size_t i = 0; i < found.near_count; i++)
            fuzz_must(found.near[i] != NULL);
    }
    fuzz_must(wrap_width(text) <= 2 * strlen(text));
    free(text);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * main.c -- choose scripts and ways, run them, compare the traces, print what came of it.
 *
 * usage: calls [-w WAY,...] [-s PATTERN] [-j JOBS] [-S restart|no-restart] [-tlmv]
 *   -w  which ways, of plain, epoll, uring; the first is what the others must equal.  Without
 *       it DRIVER says which: epoll or uring; both, where it is unset or `any`
 *   -s  only the scripts whose name matches this pattern of fnmatch(3)
 *   -j  how many at a time
 *   -S  under a storm of SIGALRM, 1000 a second, with or without SA_RESTART
 *   -t  the short form: of the generated scripts one kind of descriptor for each cell
 *   -l  list the scripts; -m print the matrix; -v print the traces
 * Exit: 0 all agree, 1 some do not, 2 usage.
 */
#include "compare.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void list_add(struct script_list *list, const struct script *script)
{
    if (list->count == list->room) {
        size_t room = list->room == 0 ? 512 : 2 * list->room;
        struct script *items = realloc(list->items, room * sizeof(*items));

        if (items == NULL)
            abort();
        list->items = items;
        list->room = room;
    }
    list->items[list->count++] = *script;
}

void list_add_all(struct script_list *list, const struct script *scripts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        list_add(list, &scripts[i]);
}

static void list_fill(struct script_list *list)
{
    add_receive_cells(list);
    add_send_cells(list);
    add_listen_cells(list);
    add_control_cells(list);
    add_mode_scripts(list);
    add_close_scripts(list);
    add_signal_scripts(list);
    add_stream_scripts(list);
    add_gather_scripts(list);
    add_urgent_scripts(list);
    add_message_scripts(list);
    add_stamp_scripts(list);
    add_datagram_scripts(list);
    add_connect_scripts(list);
    add_other_kinds_scripts(list);
    add_poll_scripts(list);
    add_pointer_scripts(list);
    add_network_scripts(list);
}

/* Scripts of one cell differ in what stands behind the last slash: their kind. */
static bool is_same_cell(const struct script *one, const struct script *other)
{
    size_t length = (size_t)(strrchr(one->name, '/') - one->name);

    return script_is_cell(other) && one->state == other->state &&
           strncmp(one->name, other->name, length + 1) == 0;
}

/* For the short form: of each cell one kind, another one in each. */
static bool is_sample(const struct script_list *list, size_t index)
{
    const struct script *script = &list->items[index];
    size_t before = 0, all = 0;

    if (!script_is_cell(script))
        return true;
    for (size_t i = 0; i < list->count; i++) {
        all += is_same_cell(script, &list->items[i]) ? 1 : 0;
        before += i < index && is_same_cell(script, &list->items[i]) ? 1 : 0;
    }
    /* any even spread will do; this one does not depend on the order of the list */
    return all > 0 && before == ((size_t)script->row * 5 + (size_t)script->state * 3 +
                                 (size_t)script->flags) %
                                    all;
}

static void list_choose(struct script_list *list, const struct options *options)
{
    bool *chosen = calloc(list->count + 1, sizeof(*chosen));
    size_t kept = 0;

    for (size_t i = 0; chosen != NULL && i < list->count; i++) {
        const struct script *script = &list->items[i];

        chosen[i] = (options->pattern == NULL ||
                     fnmatch(options->pattern, script->name, 0) == 0) &&
                    (options->storm == STORM_NONE || (script->needs & NEED_CALM) == 0) &&
                    (!options->sample || is_sample(list, i));
    }
    for (size_t i = 0; chosen != NULL && i < list->count; i++) {
        if (chosen[i])
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
    free(chosen);
}

/* ---- options --------------------------------------------------------------------------- */

static bool choose_ways(struct options *options, char *names)
{
    static const struct way *const known[] = { &way_plain, &way_epoll, &way_uring };

    options->way_count = 0;
    for (char *name; (name = strsep(&names, ",")) != NULL;) {
        const struct way *way = NULL;

        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
            if (strcmp(known[i]->name, name) == 0)
                way = known[i];
        }
        if (way == NULL || options->way_count == WAYS_MAX)
            return false;
        options->ways[options->way_count++] = way;
    }
    return options->way_count > 0;
}

static void options_default(struct options *options)
{
    const char *driver = getenv("DRIVER");
    bool both = driver == NULL || strcmp(driver, "") == 0 || strcmp(driver, "any") == 0;

    *options = (struct options){ .jobs = 4 };
    options->ways[options->way_count++] = &way_plain;
    if (both || strcmp(driver, "epoll") == 0)
        options->ways[options->way_count++] = &way_epoll;
    if (both || strcmp(driver, "uring") == 0)
        options->ways[options->way_count++] = &way_uring;
}

static bool options_read(struct options *options, int count, char **args)
{
    int letter;

    options_default(options);
    while ((letter = getopt(count, args, "w:s:j:S:tlmv")) != -1) {
        if (letter == 'w' && !choose_ways(options, optarg))
            return false;
        if (letter == 's')
            options->pattern = optarg;
        if (letter == 'j')
            options->jobs = (int)strtol(optarg, NULL, 10);
        if (letter == 'S')
            options->storm =
                strcmp(optarg, "restart") == 0 ? STORM_RESTART : STORM_NO_RESTART;
        options->sample |= letter == 't';
        options->list |= letter == 'l';
        options->matrix |= letter == 'm';
        options->verbose |= letter == 'v';
        if (letter == '?')
            return false;
    }
    return optind == count && options->jobs > 0;
}

/*
 * The kernel begins to stamp what comes some time after the first socket has asked for it,
 * and ends some time after the last: a socket of ours asks all the while.
 */
static bool stamps_begin(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const int on = 1;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof(on)) != 0 ||
        bind(fd, (void *)&address, sizeof(address)) != 0)
        return false;
    return fcntl(fd, F_DUPFD_CLOEXEC, 800) >= 0 && close(fd) == 0;
}

int main(int count, char **args)
{
    struct script_list list = { 0 };
    struct options options;
    int status;

    if (!options_read(&options, count, args)) {
        (void)fprintf(stderr, "usage: calls [-w WAY,...] [-s PATTERN] [-j JOBS] "
                              "[-S restart|no-restart] [-tlmv]\n");
        return 2;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    list_fill(&list);
    list_choose(&list, &options);
    if (!stamps_begin())
        (void)fprintf(stderr, "calls: no socket with stamps: stamps may be missing\n");
    for (size_t i = 0; options.list && i < list.count; i++)
        printf("%s\n", list.items[i].name);
    status = options.list ? 0 : run_and_compare(&list, &options);
    free(list.items);
    return status;
}

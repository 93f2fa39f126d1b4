/* SPDX-License-Identifier: MIT */
/*
 * help.c -- --help and tenon(1), from the table of verbs and the table of options.
 *
 * --help shows examples first, and fits a screen of 80 columns.  The man page has the
 * same tables with their longer texts; `make man` writes docs/tenon.1 from it.
 */
#include <stdio.h>
#include <string.h>

#include "report.h"
#include "verbs.h"

static const struct {
    int code;
    const char *short_text, *meaning;
} exits[] = {
    { EXIT_DELIVERED, "delivered",
      "The peer's host has acknowledged every byte, the peer has ended in order, and our "
      "output has taken all it sent." },
    { EXIT_OTHER, "other", "Anything that is not named below." },
    { EXIT_USAGE, "usage", "The command line is wrong." },
    { EXIT_NAME, "name", "A name could not be looked up." },
    { EXIT_UNREACHED, "refused", "Refused or unreachable." },
    { EXIT_LATE, "deadline",
      "A deadline passed (and all that was sent is acknowledged)." },
    { EXIT_CUT, "cut", "The connection was reset, or cut by the peer." },
    { EXIT_OUTPUT, "output",
      "Our own output failed, as on a full disk, or a file of ours could not be read. A "
      "closed pipe, as of | head, is a quiet 0; but 8 for recv -, which promises all of "
      "it." },
    { EXIT_UNCONFIRMED, "unconfirmed",
      "Not all bytes were acknowledged by the peer's host." },
    { EXIT_THRESHOLD, "limit",
      "bench, compare: a figure is over its limit, or an answer was wrong." },
    { EXIT_NOT_REACHED, "not there", "wait: not all addresses accepted in time." },
    { EXIT_NOT_RUNNABLE, NULL, "The program of --exec could not be started." },
    { EXIT_NO_PROGRAM, NULL, "The program of --exec was not found." },
};

#define EXITS (sizeof(exits) / sizeof(exits[0]))

/* "-w, --wait SECS" in TEXT. */
static void option_text(const struct option *option, char *text, size_t size)
{
    const char *before = "", *after = "", *value = option->value ? option->value : "";
    char letter[8] = "    ";

    if (option->letter)
        (void)snprintf(letter, sizeof(letter), "-%c%s", option->letter,
                       option->name ? ", " : " ");
    if (option->kind == OPTION_JSON) {
        before = "[=";
        after = "]";
    } else if (option->value && option->name) {
        before = " ";
    }
    (void)snprintf(text, size, "%s%s%s%s%s%s", letter, option->name ? "--" : "",
                   option->name ? option->name : "", before, value, after);
}

/* The option's line or lines: HELP begins in column 30 and goes to 79. */
static void print_option(const struct option *option)
{
    char text[64];
    const char *help = option->help;
    int width;

    option_text(option, text, sizeof(text));
    width = printf("  %s", text);
    while (*help) {
        size_t fits = strlen(help);

        if (fits > 50) {
            for (fits = 50; fits > 0 && help[fits] != ' '; fits--)
                ;
        }
        (void)printf("%*s%.*s\n", width < 29 ? 30 - width : 1, "", (int)fits, help);
        help += fits + (help[fits] == ' ');
        width = 0;
    }
}

void help_verb(const struct verb *verb)
{
    (void)printf("tenon %s: %s\n\n", verb->name, verb->summary);
    for (int i = 0; verb->examples[i]; i += 2)
        (void)printf("  %-42s %s\n", verb->examples[i], verb->examples[i + 1]);
    (void)printf("\n");
    for (int i = 0; verb->usage[i]; i++)
        (void)printf("%s tenon %s\n", i ? "      " : "usage:", verb->usage[i]);
    (void)printf("\n");
    for (size_t i = 0; i < option_count; i++) {
        const struct option *option = &option_table[i];
        if (option->help && option->verbs & verb->bit && option->verbs != VERB_ANY &&
            !(option->kind == OPTION_FLAG && verb->bit == VERB_LISTEN &&
              option->letter == 'l'))
            print_option(option);
    }
}

void help_all(void)
{
    (void)printf(
        "tenon -- connections that tell the truth about what was delivered\n\n"
        "  tenon host 80                              connect\n"
        "  printf 'hello\\n' | tenon host 9000         ask, and wait for the answer\n"
        "  tenon -l 8080                              listen\n"
        "  tenon -l -k 9000 -o 'conn-%%n.bin'          receive files\n\n");
    for (int i = 0; i < verb_count; i++) {
        if (verb_table[i].summary)
            (void)printf("  tenon %-9s %s\n", verb_table[i].name, verb_table[i].summary);
    }
    (void)printf(
        "\nAddresses: host port, host:port, :port, [::1]:22, unix:/path, "
        "unix:@name.\nOptions: tenon VERB --help.  More: man tenon.\n\nexit codes:");
    for (size_t i = 0; i < EXITS; i++) {
        if (exits[i].short_text)
            (void)printf("%s %d %s",
                         i == 5 ? ",\n           "
                         : i    ? ","
                                : "",
                         exits[i].code, exits[i].short_text);
    }
    (void)printf("\n");
}

/* TEXT for man(7): minus signs and backslashes as they are typed. */
static void print_roff(const char *text)
{
    bool line_start = true;

    for (; *text; text++) {
        if (line_start && (*text == '.' || *text == '\''))
            (void)printf("\\&");
        if (*text == '-')
            (void)printf("\\-");
        else if (*text == '\\')
            (void)printf("\\e");
        else if (*text == '\'')
            (void)printf("\\(aq");
        else
            (void)putchar(*text);
        line_start = *text == '\n';
    }
}

static void man_paragraph(const char *tag, const char *text, const char *more)
{
    (void)printf(".TP\n.B ");
    print_roff(tag);
    (void)printf("\n");
    print_roff(text);
    (void)printf("%s\n", more ? "." : "");
    if (more) {
        print_roff(more);
        (void)printf("\n");
    }
}

static void man_verb(const struct verb *verb)
{
    char heading[64];

    (void)snprintf(heading, sizeof(heading), "tenon %s", verb->name);
    (void)printf(".SS ");
    print_roff(heading);
    (void)printf("\n");
    print_roff(verb->text);
    (void)printf("\n");
    for (int i = 0; verb->examples[i]; i += 2)
        man_paragraph(verb->examples[i], verb->examples[i + 1], NULL);
}

/* Which verbs take OPTION, for the man page. */
static void man_takers(const struct option *option)
{
    const char *before = "(";

    if (option->verbs == VERB_ANY)
        return;
    for (int i = 0; i < verb_count; i++) {
        if (!(option->verbs & verb_table[i].bit) || !verb_table[i].summary)
            continue;
        (void)printf("%s%s", before, verb_table[i].name);
        before = ", ";
    }
    (void)printf(")\n");
}

static void man_options(void)
{
    (void)printf(".SH OPTIONS\nTimes are written 2s, 500ms, 1.5m or 1h; a mere number is "
                 "seconds. Sizes are written 64k or 1m. The long names also work in an "
                 "address, behind a question mark: host:80?max\\-time=2s&crlf\n");
    for (size_t i = 0; i < option_count; i++) {
        char text[64];
        const char *tag = text;

        if (!option_table[i].help)
            continue;
        option_text(&option_table[i], text, sizeof(text));
        while (*tag == ' ')
            tag++;
        man_paragraph(tag, option_table[i].help, option_table[i].more);
        man_takers(&option_table[i]);
    }
}

void help_man(void)
{
    (void)printf(".\\\" Made by tenon --man from the tables in cli/.\n"
                 ".TH TENON 1 \"\" \"tenon " TENON_VERSION "\" \"tenon\"\n.SH NAME\n"
                 "tenon \\- connections that tell the truth about what was delivered\n"
                 ".SH SYNOPSIS\n.nf\n");
    for (int i = 0; i < verb_count; i++) {
        for (int j = 0; verb_table[i].summary && verb_table[i].usage[j]; j++) {
            (void)printf("tenon ");
            print_roff(verb_table[i].usage[j]);
            (void)printf("\n");
        }
    }
    (void)printf(
        ".fi\n.SH DESCRIPTION\nStandard output is data only; everything else goes to "
        "standard error. Errors are one line: what, where, why, and how many "
        "bytes. A slow reader of standard output is waited for; one of standard error, "
        "or of "
        "a pipe that \\-\\-json=FILE names, is not: 1 MiB waits in memory, and beyond "
        "that lines "
        "are left out and counted where they are missing; an object left out is exit "
        "8.\n");
    for (int i = 0; i < verb_count; i++) {
        if (verb_table[i].summary)
            man_verb(&verb_table[i]);
    }
    (void)printf(
        ".SH ADDRESSES\n.nf\nhost port     host:port     :port     [fe80::1%%eth0]:22\n"
        "tcp://host:port     unix:/path     unix:@name     /a/path\n.fi\n"
        "A port is 1 to 65535, or the name of a service; 0, to listen on, is one that "
        "the system chooses and tenon tells. To listen, a mere port is enough; "
        "to connect, :port is this host, by IPv6 and IPv4.\n");
    man_options();
    (void)printf(".SH EXIT STATUS\n");
    for (size_t i = 0; i < EXITS; i++) {
        char number[8];
        (void)snprintf(number, sizeof(number), "%d", exits[i].code);
        man_paragraph(number, exits[i].meaning, NULL);
    }
    (void)printf(".SH ENVIRONMENT\n");
    man_paragraph("TENON_DRIVER", "epoll or uring: use this driver, or fail", NULL);
    man_paragraph("NO_COLOR", "if set and not empty, nothing is coloured", NULL);
    (void)printf(".SH SEE ALSO\n.BR nc (1),\n.BR socket (7),\n.BR tcp (7)\n");
}

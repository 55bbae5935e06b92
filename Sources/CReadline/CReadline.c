#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#include "CReadline.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include <readline/readline.h>
#include <readline/history.h>

static creadline_callbacks callbacks;
static char *accepted;
static bool is_done;
/// Written by the handler of SIGWINCH.
static int resize_pipe[2] = {-1, -1};

// MARK: Painting

/// The columns that a text takes, without what stands between RL_PROMPT_START_IGNORE and RL_PROMPT_END_IGNORE; -1 if
/// it holds what readline writes in another way (control characters) or what is not text.
static int columns_of(const char *text, size_t length) {
    int columns = 0;
    bool is_ignored = false;
    mbstate_t state = {0};
    for (size_t at = 0; at < length;) {
        if (text[at] == RL_PROMPT_START_IGNORE || text[at] == RL_PROMPT_END_IGNORE) {
            is_ignored = text[at++] == RL_PROMPT_START_IGNORE;
            continue;
        }
        wchar_t character;
        size_t bytes = mbrtowc(&character, text + at, length - at, &state);
        if (bytes == 0 || bytes == (size_t)-1 || bytes == (size_t)-2) return -1;
        int width = wcwidth(character);
        if (!is_ignored && width < 0) return -1;
        if (!is_ignored) columns += width;
        at += bytes;
    }
    return columns;
}

/// Lets readline paint, then paints the same cells in colour if every line of the text fits in one row.
static void redisplay(void) {
    rl_redisplay();
    if (rl_end == 0 || RL_ISSTATE(RL_STATE_ISEARCH) || RL_ISSTATE(RL_STATE_NSEARCH)) return;
    int rows, columns;
    rl_get_screen_size(&rows, &columns);
    int prompt = rl_display_prompt ? columns_of(rl_display_prompt, strlen(rl_display_prompt)) : 0;
    if (prompt < 0) return;

    int row = 0, cursor_row = 0, cursor_column = prompt;
    for (int start = 0; start <= rl_end; row++) {
        const char *line = rl_line_buffer + start;
        const char *newline = memchr(line, '\n', (size_t)(rl_end - start));
        int length = newline ? (int)(newline - line) : rl_end - start;
        int indent = row == 0 ? prompt : 0;
        int width = columns_of(line, (size_t)length);
        if (width < 0 || indent + width >= columns) return;
        if (rl_point >= start && rl_point <= start + length) {
            int before = columns_of(line, (size_t)(rl_point - start));
            if (before < 0) return;
            cursor_row = row;
            cursor_column = indent + before;
        }
        start += length + 1;
    }
    if (row >= rows) return;

    char *painted = callbacks.highlight(callbacks.context, rl_line_buffer);
    if (!painted) return;
    if (cursor_row > 0) fprintf(rl_outstream, "\033[%dA", cursor_row);
    fputc('\r', rl_outstream);
    if (prompt > 0) fprintf(rl_outstream, "\033[%dC", prompt);
    for (const char *c = painted; *c; c++) {
        if (*c == '\n') fputc('\r', rl_outstream);
        fputc(*c, rl_outstream);
    }
    fputs("\033[0m\r", rl_outstream);
    if (row - 1 > cursor_row) fprintf(rl_outstream, "\033[%dA", row - 1 - cursor_row);
    if (cursor_column > 0) fprintf(rl_outstream, "\033[%dC", cursor_column);
    fflush(rl_outstream);
    free(painted);
}

// MARK: Keys

static int enter(int count, int key) {
    if (!callbacks.is_complete(callbacks.context, rl_line_buffer)) {
        rl_point = rl_end;
        return rl_insert_text("\n") < 0;
    }
    rl_point = rl_end;
    return rl_newline(count, key);
}

static char **complete(const char *text, int start, int end) {
    (void)text;
    // Without this readline would go on to the names of files.
    rl_attempted_completion_over = 1;
    rl_completion_suppress_append = 1;
    return callbacks.complete(callbacks.context, rl_line_buffer, start, end);
}

/// Called at the second Tab; `matches[0]` is the common prefix.
static void list(char **matches, int count, int longest) {
    (void)longest;
    int rows, columns;
    rl_get_screen_size(&rows, &columns);
    char *text = callbacks.list(callbacks.context, matches + 1, count, rows, columns);
    rl_crlf();
    if (text) fputs(text, rl_outstream);
    free(text);
    rl_on_new_line();
    rl_forced_update_display();
}

static void accept_line(char *line) {
    accepted = line;
    is_done = true;
    rl_callback_handler_remove();
}

static void note_resize(int number) {
    (void)number;
    int saved = errno;
    // A full pipe tells already what there is to tell.
    ssize_t written = write(resize_pipe[1], "w", 1);
    (void)written;
    errno = saved;
}

static bool drain(int file) {
    char bytes[64];
    bool any = false;
    while (read(file, bytes, sizeof bytes) > 0) any = true;
    return any;
}

// MARK: Interface

void creadline_start(const char *name, creadline_callbacks given) {
    callbacks = given;
    setlocale(LC_CTYPE, "");
    rl_readline_name = strdup(name);
    // With a redisplay function set before this, readline would take the terminal for a dumb one.
    rl_initialize();
    rl_redisplay_function = redisplay;
    rl_attempted_completion_function = complete;
    rl_completion_display_matches_hook = list;
    rl_completer_word_break_characters = " \t\n\"'`@><=;|&{}()[],+-*/%!~^:";
    rl_catch_signals = 0;
    rl_catch_sigwinch = 0;
    rl_variable_bind("blink-matching-paren", "off");
    rl_variable_bind("enable-bracketed-paste", "on");
    rl_variable_bind("bell-style", "none");
    rl_bind_key('\r', enter);
    rl_bind_key('\n', enter);
    rl_bind_keyseq("\033[A", rl_named_function("history-search-backward"));
    rl_bind_keyseq("\033OA", rl_named_function("history-search-backward"));
    rl_bind_keyseq("\033[B", rl_named_function("history-search-forward"));
    rl_bind_keyseq("\033OB", rl_named_function("history-search-forward"));
    if (pipe(resize_pipe) == 0) {
        for (int end = 0; end < 2; end++) {
            fcntl(resize_pipe[end], F_SETFL, O_NONBLOCK);
            fcntl(resize_pipe[end], F_SETFD, FD_CLOEXEC);
        }
        struct sigaction action = {.sa_handler = note_resize};
        sigaction(SIGWINCH, &action, NULL);
    }
}

enum creadline_result creadline_read(const char *prompt, int wake, char **text) {
    is_done = false;
    accepted = NULL;
    // The window may have changed while no line was read.
    if (drain(resize_pipe[0])) rl_reset_screen_size();
    rl_callback_handler_install(prompt, accept_line);
    enum creadline_result result = CREADLINE_END;
    while (!is_done) {
        struct pollfd files[3] = {
            {.fd = STDIN_FILENO, .events = POLLIN},
            {.fd = wake, .events = POLLIN},
            {.fd = resize_pipe[0], .events = POLLIN},
        };
        if (poll(files, 3, -1) < 0) {
            if (errno == EINTR) continue;
            break;
        }
        if (files[2].revents && drain(resize_pipe[0])) rl_resize_terminal();
        if (files[1].revents && drain(wake)) {
            rl_point = rl_end;
            rl_redisplay();
            rl_callback_sigcleanup();
            rl_free_line_state();
            rl_callback_handler_remove();
            fputs("^C\n", rl_outstream);
            fflush(rl_outstream);
            return CREADLINE_INTERRUPTED;
        }
        if (files[0].revents) rl_callback_read_char();
    }
    if (!is_done) rl_callback_handler_remove();
    if (accepted) {
        *text = accepted;
        result = CREADLINE_LINE;
    }
    return result;
}

void creadline_add_history(const char *text) { add_history(text); }

int creadline_columns(void) {
    int rows, columns;
    rl_get_screen_size(&rows, &columns);
    return columns;
}

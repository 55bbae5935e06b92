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
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include <readline/readline.h>
#include <readline/history.h>

static creadline_callbacks callbacks;
static char *accepted;
static bool is_done;
/// The line was given up by the interrupt key.
static bool is_interrupted;
/// The key that gives a line up: the terminal does not make a signal of it while a line is edited, so that it stands
/// where it was pressed among the other keys.
static unsigned char interrupt_key = 3;
/// What becomes readable when a signal asks for the same.
static int wake_file = -1;
/// Keys taken from the terminal before readline wanted them.
static unsigned char queue[1 << 16];
static size_t queue_start, queue_end;
/// How many bytes of the character at the queue's beginning are left.
static size_t character_left;
/// How many keys the terminal held when the interrupt key made a signal; -1 if it has not. Written by its handler.
static volatile sig_atomic_t keys_before_interrupt = -1;
/// A text is being pasted: readline asks for keys until its end, whatever they are.
static bool is_pasting;
/// The next key is the character that vi's `r` puts in.
static bool awaits_character;
/// How much of a paste's end was made up, since it may never come.
static size_t paste_end;
/// Readline has not taken the key yet that it was called for.
static bool is_first_key;
/// A key that readline gets before those that were pressed; EOF for none.
static int inserted_key = EOF;
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

static bool drain(int file) {
    char bytes[64];
    bool any = false;
    while (read(file, bytes, sizeof bytes) > 0) any = true;
    return any;
}

static void note_resize(int number) {
    (void)number;
    int saved = errno;
    // A full pipe tells already what there is to tell.
    ssize_t written = write(resize_pipe[1], "w", 1);
    (void)written;
    errno = saved;
}

/// Whether a whole character is in the queue; what is none, or not the beginning of one, is dropped.
///
/// Readline looks for the rest of characters in the keys after them, and its ways through a line do not end at bytes
/// that are none (8.2).
static bool has_character(void) {
    if (character_left > 0) return true;
    while (queue_start < queue_end) {
        mbstate_t state = {0};
        size_t length = MB_CUR_MAX == 1 ? 1 : mbrlen((char *)queue + queue_start, queue_end - queue_start, &state);
        if (length == (size_t)-2) return false;
        if (length != (size_t)-1) {
            character_left = length == 0 ? 1 : length;
            return true;
        }
        queue_start++;
    }
    return false;
}

/// Waits until there is a key or a window of another size; the key, which stays where it is, or EOF.
static int next_key(void) {
    while (!has_character()) {
        struct pollfd files[3] = {
            {.fd = STDIN_FILENO, .events = POLLIN},
            {.fd = wake_file, .events = POLLIN},
            {.fd = resize_pipe[0], .events = POLLIN},
        };
        if (poll(files, 3, -1) < 0) {
            if (errno == EINTR) continue;
            return EOF;
        }
        memmove(queue, queue + queue_start, queue_end - queue_start);
        queue_end -= queue_start;
        queue_start = 0;
        if (files[2].revents && drain(resize_pipe[0])) rl_resize_terminal();
        if (files[1].revents && drain(wake_file)) {
            queue[queue_end++] = interrupt_key;
        } else if (files[0].revents) {
            // One at a time: what follows an accepted line may be meant for another reader of the terminal.
            ssize_t count = read(STDIN_FILENO, queue + queue_end, 1);
            if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
            if (count <= 0) return EOF;
            queue_end += (size_t)count;
        }
    }
    return queue[queue_start];
}

/// What readline calls for a key.
static int read_key(FILE *stream) {
    (void)stream;
    if (inserted_key != EOF) {
        int key = inserted_key;
        inserted_key = EOF;
        is_first_key = false;
        return key;
    }
    int key = next_key();
    // The end of the text that is pasted may never come.
    if (is_pasting && (key == interrupt_key || key == EOF || paste_end > 0)) {
        // Readline does not end the text that it has so far when keys end in the middle of it.
        static const char end[] = "\033[201~";
        return end[paste_end++ % (sizeof end - 1)];
    }
    // In a search readline reads on for nothing else.
    bool reads_on = !is_first_key && RL_ISSTATE(RL_STATE_ISEARCH | RL_STATE_NSEARCH);
    if (reads_on && key == interrupt_key) return EOF;
    is_first_key = false;
    if (key != EOF) {
        queue_start++;
        character_left--;
    }
    return key;
}

/// Whether a key is not one of the search's own while something is searched for.
///
/// Readline's searches do not find back from sequences such as those of arrows and pastes, nor from a key that ends a
/// search and wants another key itself: they go on in the table of keys that they were in last, and beyond it (8.2).
static bool leaves_search(int key) {
    if (key < 0 || key >= KEYMAP_SIZE - 1) return false;
    if (RL_ISSTATE(RL_STATE_NSEARCH)) return rl_get_keymap()[key].type == ISKMAP;
    static const char own[] = {CTRL('G'), CTRL('H'), CTRL('R'), CTRL('S'), CTRL('W'), CTRL('Y'), RUBOUT};
    return RL_ISSTATE(RL_STATE_ISEARCH) && (CTRL_CHAR(key) || key == RUBOUT) && !memchr(own, key, sizeof own);
}

/// Ends a search before the keys that follow.
static void end_search(void) {
    // The former keeps what was found and the latter the line; neither is carried out as a key of the line's.
    inserted_key = RL_ISSTATE(RL_STATE_ISEARCH) ? CTRL('J') : CTRL('G');
    is_first_key = true;
    rl_callback_read_char();
    inserted_key = EOF;
}

/// Keeps what the next key is repeated by small enough for one that is pressed by mistake.
///
/// As much as the longest line so far may be put back by each: a few keys would make gigabytes of it.
static void limit_argument(void) {
    static int longest;
    if (rl_end > longest) longest = rl_end;
    int limit = 1 + (1 << 20) / (longest + 1);
    if (limit > 1000) limit = 1000;
    if (RL_ISSTATE(RL_STATE_NUMERICARG) && rl_numeric_arg > limit) rl_numeric_arg = limit;
}

/// Cuts a text that is longer than any that is typed or pasted.
static void limit_text(void) {
    const int limit = 1 << 24;
    if (rl_end <= limit) return;
    rl_delete_text(limit, rl_end);
    if (rl_point > rl_end) rl_point = rl_end;
    rl_ding();
}

static int has_key(void) {
    if (queue_start < queue_end) return 1;
    struct pollfd file = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&file, 1, 0) > 0;
}

static int paste(int count, int key) {
    is_pasting = true;
    paste_end = 0;
    int result = rl_bracketed_paste_begin(count, key);
    is_pasting = false;
    return result;
}

/// Gives the line up as Enter accepts it: readline ends with the line and all that it keeps of it in order.
static int interrupt(int count, int key) {
    is_interrupted = true;
    return rl_newline(count, key);
}

/// Ends whatever was begun with keys that wait for more.
static void give_up_sequences(void) {
    // Each call ends one of them, and vi's commands nest: `3d2` is a count in a motion in a count.
    static const unsigned long begun = RL_STATE_ISEARCH | RL_STATE_NSEARCH | RL_STATE_VIMOTION | RL_STATE_NUMERICARG
        | RL_STATE_MULTIKEY | RL_STATE_CHARSEARCH;
    for (int depth = 0; depth < 8 && (depth == 0 || RL_ISSTATE(begun)); depth++) rl_callback_sigcleanup();
}

/// vi's `R`, whose table of keys is readline's own and made anew each time.
static int overstrike(int count, int key) {
    int result = rl_vi_replace(count, key);
    rl_bind_keyseq_in_map("\033[200~", paste, rl_get_keymap());
    return result;
}

/// vi's `r`, which tells nobody that it waits for a character.
static int change_character(int count, int key) {
    awaits_character = true;
    return rl_vi_change_char(count, key);
}

static int enter(int count, int key) {
    if (!callbacks.is_complete(callbacks.context, rl_line_buffer)) {
        rl_point = rl_end;
        return rl_insert_text("\n") < 0;
    }
    rl_point = rl_end;
    return rl_newline(count, key);
}

static int insert_newline(int count, int key) {
    (void)count, (void)key;
    return rl_insert_text("\n") < 0;
}

// The walk through the history is ours. Readline's `history-search-backward` keeps the line that was left, its list of
// undos and that of the entry in several places at once and frees one of them twice (8.2, with Ctrl-R in between).

/// The text when the walk began, of which `walk_prefix` bytes must stand at the beginning of an entry.
static char *walk_origin;
static size_t walk_prefix;
static int walk_position;

static int walk_backward(int count, int key);
static int walk_forward(int count, int key);

static int walk(int step) {
    if (rl_last_func != walk_backward && rl_last_func != walk_forward) {
        free(walk_origin);
        walk_origin = strdup(rl_line_buffer);
        walk_prefix = (size_t)rl_point;
        walk_position = where_history();
    }
    for (int position = walk_position + step; walk_origin && position >= 0; position += step) {
        HIST_ENTRY *entry = position < history_length ? history_get(history_base + position) : NULL;
        const char *text = entry ? entry->line : walk_origin;
        bool is_origin = position >= history_length;
        if (is_origin && walk_position >= history_length) break;
        if (is_origin || (strncmp(text, walk_origin, walk_prefix) == 0 && strcmp(text, rl_line_buffer) != 0)) {
            walk_position = position;
            // An edit like any other: readline's list of undos may be a history entry's too, which must keep it.
            rl_begin_undo_group();
            rl_delete_text(0, rl_end);
            rl_point = 0;
            rl_insert_text(text);
            rl_end_undo_group();
            return 0;
        }
    }
    return rl_ding();
}

static int walk_backward(int count, int key) {
    (void)count, (void)key;
    return walk(-1);
}

static int walk_forward(int count, int key) {
    (void)count, (void)key;
    return walk(1);
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

/// Binds what is ours in the keys of one way of editing.
static void bind_keys(Keymap map) {
    rl_bind_key_in_map('\r', enter, map);
    rl_bind_key_in_map('\n', enter, map);
    rl_bind_key_in_map(interrupt_key, interrupt, map);
    if (map == vi_movement_keymap) {
        // vi's own searches free lists of undos that lines of the history have too (8.2).
        rl_bind_key_in_map('/', rl_reverse_search_history, map);
        rl_bind_key_in_map('?', rl_forward_search_history, map);
        rl_unbind_function_in_map(rl_vi_search_again, map);
        rl_bind_key_in_map('R', overstrike, map);
        rl_bind_key_in_map('r', change_character, map);
        return;
    }
    rl_bind_keyseq_in_map("\033[200~", paste, map);
    rl_bind_keyseq_in_map("\033[A", walk_backward, map);
    rl_bind_keyseq_in_map("\033OA", walk_backward, map);
    rl_bind_keyseq_in_map("\033[B", walk_forward, map);
    rl_bind_keyseq_in_map("\033OB", walk_forward, map);
    if (map != emacs_standard_keymap) return;
    // Readline would change over to the keys of vi, where nothing is what it was.
    rl_bind_keyseq_in_map("\033\r", insert_newline, map);
    rl_bind_keyseq_in_map("\033\n", insert_newline, map);
    // They look for a paste in the key they wait for, and in ESC and what follows it for more than there is (8.2).
    rl_unbind_function_in_map(rl_char_search, emacs_standard_keymap);
    rl_unbind_function_in_map(rl_backward_char_search, emacs_meta_keymap);
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
    rl_getc_function = read_key;
    rl_input_available_hook = has_key;
    rl_catch_signals = 0;
    rl_catch_sigwinch = 0;
    rl_variable_bind("blink-matching-paren", "off");
    rl_variable_bind("enable-bracketed-paste", "on");
    rl_variable_bind("bell-style", "none");
    bind_keys(emacs_standard_keymap);
    bind_keys(vi_insertion_keymap);
    bind_keys(vi_movement_keymap);
    if (pipe(resize_pipe) == 0) {
        for (int end = 0; end < 2; end++) {
            fcntl(resize_pipe[end], F_SETFL, O_NONBLOCK);
            fcntl(resize_pipe[end], F_SETFD, FD_CLOEXEC);
        }
        struct sigaction action = {.sa_handler = note_resize};
        sigaction(SIGWINCH, &action, NULL);
    }
}

void creadline_set_interrupt_key(unsigned char key) { interrupt_key = key; }

enum creadline_result creadline_read(const char *prompt, int wake, char **text) {
    is_done = is_interrupted = awaits_character = false;
    accepted = NULL;
    wake_file = wake;
    // The window may have changed while no line was read.
    if (drain(resize_pipe[0])) rl_reset_screen_size();
    rl_callback_handler_install(prompt, accept_line);
    // Else vi's first ESC frees the list of undos, which a line that was put aside for the history may have too (8.2).
    RL_SETSTATE(RL_STATE_VICMDONCE);
    while (!is_done) {
        int key = next_key();
        if (key == EOF) break;
        // Whatever was begun, a search or half a sequence of keys, ends here.
        if (key == interrupt_key) give_up_sequences();
        if (leaves_search(key)) {
            end_search();
            continue;
        }
        limit_argument();
        is_first_key = true;
        // What vi's commands wait for is no paste, whose end they would wait for without end.
        bool awaits = awaits_character || RL_ISSTATE(RL_STATE_CHARSEARCH | RL_STATE_VIMOTION);
        if (key == '\033' && awaits) give_up_sequences();
        awaits_character = false;
        rl_callback_read_char();
        if (!is_done) limit_text();
    }
    if (!is_done) rl_callback_handler_remove();
    if (is_interrupted) {
        free(accepted);
        fputs("^C\n", rl_outstream);
        fflush(rl_outstream);
        return CREADLINE_INTERRUPTED;
    }
    if (!accepted) return CREADLINE_END;
    *text = accepted;
    return CREADLINE_LINE;
}

/// Takes so many keys from the terminal, or as many as it holds.
static void gather(size_t limit) {
    if (queue_start == queue_end) queue_start = queue_end = 0;
    if (limit > sizeof queue - queue_end) limit = sizeof queue - queue_end;
    struct pollfd file = {.fd = STDIN_FILENO, .events = POLLIN};
    while (limit > 0 && poll(&file, 1, 0) > 0) {
        ssize_t count = read(STDIN_FILENO, queue + queue_end, limit);
        if (count <= 0) break;
        queue_end += (size_t)count;
        limit -= (size_t)count;
    }
}

bool creadline_gather(void) {
    keys_before_interrupt = -1;
    gather(sizeof queue);
    return memchr(queue + queue_start, interrupt_key, queue_end - queue_start) != NULL;
}

void creadline_note_interrupt(void) {
    int count = 0;
    if (ioctl(STDIN_FILENO, FIONREAD, &count) == 0) keys_before_interrupt = count;
}

void creadline_settle_interrupt(void) {
    int count = keys_before_interrupt;
    keys_before_interrupt = -1;
    if (count < 0) return;
    gather((size_t)count);
    size_t end = queue_end;
    while (end > queue_start && queue[end - 1] != '\r' && queue[end - 1] != '\n') end--;
    if (end == queue_start || queue_end == sizeof queue) return;
    memmove(queue + end + 1, queue + end, queue_end - end);
    queue[end] = interrupt_key;
    queue_end++;
}

bool creadline_has_gathered(void) { return queue_start < queue_end; }

int creadline_take(void) {
    character_left = 0;
    return queue_start < queue_end ? queue[queue_start++] : -1;
}

void creadline_add_history(const char *text) { add_history(text); }

int creadline_columns(void) {
    int rows, columns;
    rl_get_screen_size(&rows, &columns);
    return columns;
}

#ifndef CREADLINE_H
#define CREADLINE_H

#include <stdbool.h>
#include <stddef.h>

// GNU readline behind functions: none of its types or global variables leaks, because Swift 6 refuses
// global variables of C. One editor per process, used by one thread at a time.

/// What the editor asks its owner; `context` is passed through.
typedef struct creadline_callbacks {
    void *_Nullable context;
    /// The candidates for the word that begins at byte `start` and ends at byte `end` of `line`: an array allocated by
    /// `malloc` of strings allocated by `malloc`, closed by NULL, first the common prefix; NULL if there are none.
    char *_Nullable *_Nullable (*_Nonnull complete)(
        void *_Nullable context, const char *_Nonnull line, int start, int end);
    /// The text, allocated by `malloc`, that lists candidates on a screen of so many rows and columns.
    char *_Nullable (*_Nonnull list)(
        void *_Nullable context, char *_Nonnull const *_Nonnull candidates, int count, int rows, int columns);
    /// Whether Enter accepts the text instead of beginning another line of it.
    bool (*_Nonnull is_complete)(void *_Nullable context, const char *_Nonnull text);
    /// The text with colours, allocated by `malloc`; NULL for a text without.
    char *_Nullable (*_Nonnull highlight)(void *_Nullable context, const char *_Nonnull text);
} creadline_callbacks;

/// How reading a line ended.
enum creadline_result {
    CREADLINE_LINE,
    CREADLINE_END,
    CREADLINE_INTERRUPTED,
};

/// Prepares readline for standard input and output, which must be terminals.
void creadline_start(const char *_Nonnull name, creadline_callbacks callbacks);

/// Reads one text, of several lines if the first is not complete.
///
/// The interrupt key gives up what has been typed before it; so does a byte that becomes readable from `wake` (not
/// blocking). `*text` is allocated by `malloc` and set for CREADLINE_LINE only.
enum creadline_result creadline_read(
    const char *_Nonnull prompt, int wake, char *_Nullable *_Nonnull text);

/// The key that gives a line up (Ctrl-C unless set); the terminal must not make a signal of it meanwhile.
void creadline_set_interrupt_key(unsigned char key);

/// Takes the keys that the terminal holds, for the lines to come; whether the interrupt key is among them.
bool creadline_gather(void);

/// Notes that the interrupt key made a signal after the keys that the terminal holds now; for the signal's handler.
void creadline_note_interrupt(void);

/// Puts the interrupt key where it was pressed among the keys, if that was noted: behind the last Enter before it, whose
/// line it is to stop; what has been typed of a line after that stays.
void creadline_settle_interrupt(void);

/// Whether there are such keys.
bool creadline_has_gathered(void);

/// The next key that was gathered, which is then gone; -1 if there is none.
int creadline_take(void);

/// Appends a text to the history of this process.
void creadline_add_history(const char *_Nonnull text);

/// The width of the screen in columns.
int creadline_columns(void);

#endif

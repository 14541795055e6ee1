/* What the tool asks of its system, which is POSIX or Windows. */
#ifndef LICBAK_SYSTEM_H
#define LICBAK_SYSTEM_H

#include <licbak.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

/* The type of a property that holds a path as it came from the command line. */
extern const licbak_datatype path_type;

/* Makes the standard streams ready, and gives the words of the command line; NULL without memory. */
char **begin_process(char **argv);

/* Asks that Ctrl-C, or the system's request to end, only raises a flag. The second time it ends the
 * process. */
void catch_interrupts(void);

/* Gives the number of the signal that has raised it, or 0. */
int interrupting_signal(void);

bool is_terminal(FILE *stream);

/* Says whether what stands on stderr can be drawn anew. */
bool stderr_has_cursor(void);

int stderr_columns(void);

bool is_folder(const char *path);

/* Reads the beginning of the file `name` below `folder`, and gives how many bytes these are: 0 if it
 * can't be read. */
size_t read_beginning(const char *folder, const char *name, char *buffer, size_t size);

/* Opens the file at this path of the command line for reading. */
FILE *open_file(const char *path);

/* Asks on the terminal of this process, and takes a line that is not shown. Gives false if there is no
 * terminal, or its line is longer. */
bool ask_secret(const char *question, char *answer, size_t size);

/* Takes seconds since 1970 apart. Gives false if the system can't. */
bool find_utc(int64_t seconds, struct tm *utc);

#endif

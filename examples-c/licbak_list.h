/* The list of a backup, on stdout. */
#ifndef LICBAK_LIST_H
#define LICBAK_LIST_H

#include <licbak.h>

/* Prints columns for people, with a header on a terminal. Returns what licbak_list_backup
 * returns. */
licbak_hresult list_columns(licbak_restorer *restorer);

/* Prints JSON Lines for scripts: one object for each licence. */
licbak_hresult list_json(licbak_restorer *restorer);

#endif

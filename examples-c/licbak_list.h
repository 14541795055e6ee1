/* The list of a backup, on stdout. */
#ifndef LICBAK_LIST_H
#define LICBAK_LIST_H

#include <licbak.h>

/* In columns for people, with a header on a terminal. Gives what licbak_list_backup gives. */
licbak_hresult list_columns(licbak_restorer *restorer);

/* JSON Lines for scripts: an object for each licence. */
licbak_hresult list_json(licbak_restorer *restorer);

#endif

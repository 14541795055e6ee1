/* The list of a backup and the facts about it, on stdout. */
#ifndef LICBAK_LIST_H
#define LICBAK_LIST_H

#include <licbak.h>

/* Prints columns for people, with a header on a terminal. Returns what licbak_list_backup
 * returns. */
licbak_hresult list_columns(licbak_restorer *restorer);

/* Prints JSON Lines for scripts: one object for each licence. */
licbak_hresult list_json(licbak_restorer *restorer);

/* Tells how many licences of the backup look like those of a format and can't be read, so that
 * nothing is known of their rights. It looks at the files in the folder that was backed up; where
 * the store is none, it tells nothing. Returns what licbak_list_backup returns;
 * LICBAK_NS_E_DRM_OPERATION_CANCELED after an interrupt. */
licbak_hresult tell_unread(licbak_restorer *restorer, const char *store);

/* Prints the facts about the backup, one a line. Returns what licbak_get_backup_info returns. */
licbak_hresult info_columns(licbak_restorer *restorer);

/* Prints the facts as one object of JSON. */
licbak_hresult info_json(licbak_restorer *restorer);

#endif

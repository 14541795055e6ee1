/* The words of the tool about figures that are made up; see tool.rs. */
#include "../../examples-c/licbak_show.h"

int main(void)
{
    static const uint64_t gone[] = {0, 1, 3, UINT64_MAX};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        struct show show = begin_show("backing up", false);
        show.progress.licenses_done = 2;
        show.progress.content_bytes = 5;
        show.progress.licenses_gone = gone[i];
        tell_summary(&show, "Backed up", true);
    }
    return 0;
}

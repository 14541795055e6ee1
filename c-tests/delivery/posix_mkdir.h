/* For wm_client.cpp, unchanged, on Windows, whose mkdir takes no mode. */
#include <io.h>

inline int mkdir(const char *path, int) { return mkdir(path); }

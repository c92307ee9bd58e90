#include "device/device.h"

#define BACKEND(name) extern const struct backend backend_##name;
#include "device/backends.def"
#undef BACKEND

const struct backend *const backends[] = {
#define BACKEND(name) &backend_##name,
#include "device/backends.def"
#undef BACKEND
    NULL,
};

#pragma once
/* Errors. A function that can fail returns wg_err and leaves its results through its last
 * parameters, written only on success. The text of the latest failure belongs to the calling
 * thread; a job that failed on another thread brings its text along when it is waited for. */

#ifdef __cplusplus
extern "C" {
#endif

/*     code           value http text */
#define WG_ERRORS(X)                                      \
    X(OK, 0, 200, "success")                              \
    X(EINVAL, -1, 400, "invalid argument")                \
    X(EDIM, -2, 400, "wrong number of dimensions")        \
    X(ECONFIG, -3, 400, "invalid configuration")          \
    X(ENOTFOUND, -4, 404, "not found")                    \
    X(EEXISTS, -5, 409, "already exists")                 \
    X(EBUSY, -6, 423, "in use by another process")        \
    X(ENOMEM, -7, 507, "out of memory")                   \
    X(ENOSPC, -8, 507, "no space left in the store")      \
    X(EIO, -9, 500, "input or output failed")             \
    X(ECORRUPT, -10, 500, "stored data fails its checks") \
    X(EVERSION, -11, 500, "written by a newer version")   \
    X(ENODEVICE, -12, 503, "no such device")              \
    X(EDEVICEMEMORY, -13, 507, "out of device memory")    \
    X(EDEVICELOST, -14, 503, "device lost")               \
    X(ETIMEOUT, -15, 504, "deadline passed")              \
    X(ECANCELLED, -16, 499, "cancelled")                  \
    X(ECONFLICT, -17, 409, "not the version expected")    \
    X(EREADONLY, -18, 403, "open for reading only")       \
    X(EGONE, -19, 410, "no longer kept")

typedef enum wg_err {
#define X(name, value, http, text) WG_##name = value,
    WG_ERRORS(X)
#undef X
} wg_err;

#define WG_API     __attribute__((visibility("default")))
#define WG_CHECKED __attribute__((warn_unused_result))

WG_API const char *wg_err_text(wg_err err); /* static, never NULL */
WG_API const char *wg_err_name(wg_err err); /* "WG_EINVAL"; static, never NULL */
WG_API int wg_err_http(wg_err err);
WG_API const char *wg_message(void); /* of this thread's latest failure; until its next one */

#ifdef __cplusplus
}
#endif

#include "store/export.h"
#include "api/store.h"
#include "waggle/maintain.h"

wg_err wg_collection_export(wg_collection *collection, const char *path)
{
    struct collection *c;
    wg_err err = member_enter(collection->member, &c);
    if (err != WG_OK) return err;
    err = collection_export(c, path, 0);
    member_leave(collection->member);
    return err;
}

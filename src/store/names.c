#include "store/names.h"

#include "base/mem.h"

#include <stdio.h>

struct listing {
    struct names names;
    wg_err err;
};

static bool add(void *user, const char *name, uint64_t number)
{
    struct listing *l = user;
    if ((l->names.count & (l->names.count - 1)) == 0) /* full: room is a power of two */
        l->err = mem_resize(&l->names.items, l->names.count == 0 ? 1 : 2 * l->names.count);
    if (l->err != WG_OK) return false;
    struct name *item = &l->names.items[l->names.count++];
    snprintf(item->text, sizeof item->text, "%s", name);
    item->number = number;
    return true;
}

typedef wg_err list_fn(struct registry *registry, registry_visit *visit, void *user);

static wg_err names_list(struct registry *registry, list_fn *list, struct names *out)
{
    struct listing listing = { 0 };
    wg_err err = list(registry, add, &listing);
    if (err == WG_OK) err = listing.err;
    if (err == WG_OK)
        *out = listing.names;
    else
        names_fini(&listing.names);
    return err;
}

wg_err names_of_collections(struct registry *registry, struct names *out)
{
    return names_list(registry, registry_list, out);
}

wg_err names_of_aliases(struct registry *registry, struct names *out)
{
    return names_list(registry, registry_list_aliases, out);
}

void names_fini(struct names *names)
{
    mem_free(&names->items);
    *names = (struct names){ 0 };
}

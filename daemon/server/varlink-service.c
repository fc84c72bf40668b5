/* org.varlink.service: what every Varlink service says about itself (varlink.org/Service). */
#include "config.h"
#include "interfaces.h"
#include "server/methods.h"

static const struct {
    const char *name, *description;
} interfaces[] = {
    {"org.varlink.service", interface_org_varlink_service},
    {"io.caged", interface_io_caged},
};

void method_get_info(struct call *call)
{
    json_t *names;

    if (!method_read(call, NULL, 0))
        return;
    names = json_array();
    for (size_t i = 0; names && i < ARRAY_SIZE(interfaces); i++)
        (void)json_array_append_new(names, json_string(interfaces[i].name));
    connection_reply(call->connection,
                     names ? json_pack("{s:s, s:s, s:s, s:s, s:o}", "vendor", "caged", "product",
                                       "cagedd", "version", CAGED_VERSION, "url", "man:cagedd(8)",
                                       "interfaces", names)
                           : NULL);
}

void method_get_interface_description(struct call *call)
{
    struct connection *c = call->connection;
    const char *name;
    const struct parameter table[] = {{"interface", PARAMETER_STRING, true, &name}};

    if (!method_read(call, table, ARRAY_SIZE(table)))
        return;
    for (size_t i = 0; i < ARRAY_SIZE(interfaces); i++) {
        if (streq(interfaces[i].name, name)) {
            connection_reply(c, json_pack("{s:s}", "description", interfaces[i].description));
            return;
        }
    }
    connection_error(c, "org.varlink.service.InterfaceNotFound",
                     json_pack("{s:s}", "interface", name));
}

/* Wrong types in every field of every method, taken from the interface file: the program knows how
 * Varlink's definitions are written (varlink.org, "Interface definition"), and no field by name but
 * those that a good request needs. */
#include "hostile.h"

#include <ctype.h>
#include <fcntl.h>

#define FIELDS_MAX 64
#define STRUCTS_MAX 64
#define DEPTH_MAX 4

struct field {
    char name[64], type[256];
    bool optional;
};

struct structure {
    char name[64];
    bool is_method;
    struct field fields[FIELDS_MAX];
    size_t n;
};

static struct structure structures[STRUCTS_MAX];
static size_t n_structures;

/* -- the interface file -- */

static char *read_file(const char *path)
{
    static char text[4 * TEXT_MAX];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (n <= 0 || n == (ssize_t)sizeof(text) - 1)
        die(path);
    fd_close(fd);
    for (char *p = strchr(text, '#'); p; p = strchr(p, '#'))
        memset(p, ' ', strcspn(p, "\n"));
    return text;
}

static const char *skip_space(const char *p)
{
    while (isspace((unsigned char)*p))
        p++;
    return p;
}

static const char *take_name(const char *p, char *ret, size_t size)
{
    size_t n = 0;

    p = skip_space(p);
    while ((isalnum((unsigned char)*p) || *p == '_') && n + 1 < size)
        ret[n++] = *p++;
    ret[n] = 0;
    if (n == 0)
        die("a name in the interface file");
    return skip_space(p);
}

/* Up to the comma or the parenthesis that ends it. */
static const char *take_type(const char *p, char *ret, size_t size)
{
    size_t n = 0;

    for (int depth = 0; *p && (depth > 0 || (*p != ',' && *p != ')')); p++) {
        depth += (*p == '(') - (*p == ')');
        if (!isspace((unsigned char)*p) && n + 1 < size)
            ret[n++] = *p;
    }
    ret[n] = 0;
    return p;
}

/* "(name: type, ...)" */
static const char *take_fields(const char *p, struct structure *s)
{
    if (*p != '(')
        die("a parenthesis in the interface file");
    p = skip_space(p + 1);
    while (*p && *p != ')') {
        if (s->n == FIELDS_MAX)
            die("room for fields");
        struct field *field = &s->fields[s->n++];
        p = take_name(p, field->name, sizeof(field->name));
        if (*p != ':') { /* an enumeration: its words are no fields */
            s->n = 0;
            return take_type(p, field->type, sizeof(field->type));
        }
        p = skip_space(p + 1);
        field->optional = *p == '?';
        p = take_type(p + field->optional, field->type, sizeof(field->type));
        p = skip_space(*p == ',' ? p + 1 : p);
    }
    return p;
}

static void read_interface(const char *path)
{
    for (const char *p = read_file(path); *p;) {
        bool is_method = has_prefix(p, "\nmethod ");
        if (!is_method && !has_prefix(p, "\ntype ")) {
            p++;
            continue;
        }
        if (n_structures == STRUCTS_MAX)
            die("room for types");
        struct structure *s = &structures[n_structures++];
        s->is_method = is_method;
        p = take_name(strchr(p, ' '), s->name, sizeof(s->name));
        p = take_fields(p, s);
    }
}

static const struct structure *find(const char *name)
{
    for (size_t i = 0; i < n_structures; i++)
        if (!structures[i].is_method && streq(structures[i].name, name))
            return &structures[i];
    return NULL;
}

/* -- requests -- */

/* Where the wrong value goes: fields from the method's down. */
struct place {
    const struct field *fields[DEPTH_MAX];
    size_t depth;
    const char *value;
};

static const char *good_value(const char *type)
{
    if (streq(type, "string"))
        return "\"no-such-one\"";
    if (streq(type, "int"))
        return "0";
    return streq(type, "bool") ? "false" : "[]";
}

/* The members that it needs, and the one on the way to the place. */
static void render(FILE *out, const struct structure *s, const struct place *place, size_t depth)
{
    const char *comma = "";

    fputc('{', out);
    for (size_t i = 0; i < s->n; i++) {
        const struct field *field = &s->fields[i];
        bool here = depth < place->depth && place->fields[depth] == field;
        const struct structure *inner = find(field->type);
        if (field->optional && !here)
            continue;
        fprintf(out, "%s\"%s\":", comma, field->name);
        comma = ",";
        if (here && depth + 1 == place->depth)
            fputs(place->value, out);
        else if (inner && inner->n > 0)
            render(out, inner, place, here ? depth + 1 : DEPTH_MAX);
        else
            fputs(good_value(field->type), out);
    }
    fputc('}', out);
}

static void try(const struct target *target, const struct structure *method,
                const struct place *place)
{
    static char text[TEXT_MAX];
    FILE *out = fmemopen(text, sizeof(text), "w");
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (!out || null < 0)
        die("request");
    fprintf(out, "{\"method\":\"io.caged.%s\",\"more\":true,\"parameters\":", method->name);
    render(out, method, place, 0);
    fputs("}", out);
    if (fclose(out) != 0)
        die("request");
    printf("%s", method->name);
    for (size_t i = 0; i < place->depth; i++)
        printf(".%s", place->fields[i]->name);
    printf("\t%s\t%s\n", place->value, wire_ask(target, text, &null, 1));
    fd_close(null);
}

static const char *const *wrong_values(const char *type)
{
    static const char *const of_string[] = {"1", "1.5", "true", "[]", "{}", NULL};
    static const char *const of_int[] = {"\"1\"",
                                         "1.5",
                                         "1e3",
                                         "true",
                                         "[]",
                                         "[1]",
                                         "{}",
                                         "99999999999999999999",
                                         "-99999999999999999999",
                                         NULL};
    static const char *const of_bool[] = {"1", "0", "\"true\"", "[]", "{}", NULL};
    static const char *const of_array[] = {"1", "\"x\"", "true", "{}", "{\"0\":\"x\"}", NULL};
    static const char *const of_map[] = {"1",         "\"x\"",      "true", "[]",
                                         "{\"a\":1}", "{\"a\":[]}", NULL};
    static const char *const of_object[] = {"1", "\"x\"", "true", "[]", "[{}]", NULL};
    static const char *const of_enumeration[] = {"1", "\"\"", "\"no-such-word\"", "[]", "{}", NULL};
    const struct {
        const char *type;
        const char *const *values;
    } rows[] = {
        {"string", of_string},      {"int", of_int},       {"bool", of_bool}, {"object", of_object},
        {"[string]string", of_map}, {"(", of_enumeration},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (has_prefix(type, rows[i].type))
            return rows[i].values;
    return has_prefix(type, "[]") ? of_array : of_object;
}

static void try_fields(const struct target *target, const struct structure *method,
                       const struct structure *s, struct place *place)
{
    for (size_t i = 0; i < s->n && place->depth < DEPTH_MAX; i++) {
        const struct field *field = &s->fields[i];
        const struct structure *inner = find(field->type);
        place->fields[place->depth++] = field;
        for (const char *const *value = wrong_values(field->type); *value; value++) {
            place->value = *value;
            try(target, method, place);
        }
        if (!field->optional) {
            place->value = "null";
            try(target, method, place);
        }
        if (inner)
            try_fields(target, method, inner, place);
        place->depth--;
    }
}

int attack_fields(const struct target *target)
{
    if (!target->arguments[0])
        die("the interface file?");
    read_interface(target->arguments[0]);
    for (size_t i = 0; i < n_structures; i++)
        if (structures[i].is_method)
            try_fields(target, &structures[i], &structures[i], &(struct place){});
    return EXIT_SUCCESS;
}

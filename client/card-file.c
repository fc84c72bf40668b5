/* A card as a file of the user's. */
#include "card-file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "caged-limits.h"
#include "exit-status.h"
#include "input-file.h"
#include "text.h"

/* Both forms of the text: the validated card, and the JSON that goes to the daemon. */
static int card_file_parse(const char *text, size_t size, struct card_file *file,
                           struct card_error *ret_error)
{
    int r = card_parse_text(text, size, &file->card, ret_error);

    if (r < 0)
        return r;
    /* It was parsed once already, so that only memory can fail. */
    file->json = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    return file->json ? 0 : -ENOMEM;
}

int card_file_read(const char *path, struct card_file *ret, struct card_error *ret_error)
{
    struct card_file file = {.name = input_file_name(path)};
    AUTO_FREE char *text = NULL;
    size_t size;
    int r = input_file_read(path, CARD_SIZE_MAX, &text, &size, ret_error);

    if (r < 0)
        return r;
    r = card_file_parse(text, size, &file, ret_error);
    if (r < 0) {
        card_file_deinit(&file);
        return r;
    }
    *ret = file;
    return 0;
}

void card_file_deinit(struct card_file *file)
{
    file->card = card_free(file->card);
    json_decref(file->json);
    file->json = NULL;
}

int card_file_say(const char *path, int error, const struct card_error *card_error)
{
    char text[sizeof(*card_error) + 64];

    switch (error) {
    case -EINVAL:
        card_error_format(card_error, text, sizeof(text));
        say("%s: %s", input_file_name(path), text);
        return STATUS_CARD;
    case -ENOMEM:
        say("out of memory");
        return STATUS_INTERNAL;
    default:
        say("cannot read the card %s: %s", input_file_name(path), strerror(-error));
        say_hint("give the path of a file that you may read; what a card holds: caged.card(5)");
        return STATUS_FILE;
    }
}

static int say_cannot_open(const struct card_file *file, const char *key, const char *path,
                           const char *why, const char *hint)
{
    say("%s: $.%s: cannot open %s: %s", file->name, key, path, why);
    if (hint)
        say_hint("%s", hint);
    return STATUS_FILE;
}

static int open_path(const char *path, int flags, bool no_links)
{
    struct open_how how = {
        .flags = (uint64_t)flags,
        .resolve = no_links ? RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS : 0,
    };

    return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

static const char no_links_hint[] =
    "write the path without symbolic links: a unit follows none, since their owner could move them";

/* A folder that `key` of the card names. */
static int open_folder(const struct card_file *file, const char *key, const char *path,
                       bool no_links, int *ret)
{
    int fd = open_path(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, no_links);

    if (fd >= 0) {
        *ret = fd;
        return STATUS_OK;
    }
    return say_cannot_open(file, key, path, strerror(errno),
                           errno == ENOENT    ? "make the folder first, or correct the card"
                           : errno == EACCES  ? "it must be a folder that you may read"
                           : errno == ENOTDIR ? "it must be a folder"
                           : errno == ELOOP   ? no_links_hint
                                              : NULL);
}

static int open_mounts(const struct card_file *file, bool no_links, struct card_descriptors *d)
{
    const struct card *card = file->card;
    int status = STATUS_OK;
    char key[64];

    for (size_t i = 0; status == STATUS_OK && i < card->n_mounts; i++) {
        (void)snprintf(key, sizeof(key), "mounts[%zu].source", i);
        status = open_folder(file, key, card->mounts[i].source, no_links, &d->mounts[i]);
        d->n_mounts += status == STATUS_OK;
    }
    return status;
}

/* A file with a secret, that `key` of the card names; `what` is what it should hold. */
static int open_secret(const struct card_file *file, const char *key, const char *path,
                       const char *what, bool no_links, int *ret)
{
    AUTO_FD int fd = -EBADF;
    char hint[128];
    struct stat st;

    if (!path) {
        *ret = -EBADF;
        return STATUS_OK;
    }
    /* O_NONBLOCK: a FIFO must not hang us; what is no regular file is refused below. */
    fd = open_path(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, no_links);
    if (fd < 0 || fstat(fd, &st) < 0) {
        int error = errno;
        (void)snprintf(hint, sizeof(hint), "write %s to that file, or correct the card", what);
        return say_cannot_open(file, key, path, strerror(error),
                               error == ENOENT   ? hint
                               : error == EACCES ? "it must be a file that you may read"
                               : error == ELOOP  ? no_links_hint
                                                 : NULL);
    }
    (void)snprintf(hint, sizeof(hint), "put %s into a file of its own", what);
    if (!S_ISREG(st.st_mode))
        return say_cannot_open(file, key, path, "not a regular file", hint);
    *ret = TAKE_FD(fd);
    return STATUS_OK;
}

int card_file_open(const struct card_file *file, bool no_links, struct card_descriptors *ret)
{
    struct card_descriptors d = {.workspace = -EBADF, .api_key = -EBADF, .proxy_auth = -EBADF};
    int status = open_folder(file, "workspace", file->card->workspace, no_links, &d.workspace);

    if (status == STATUS_OK)
        status = open_secret(file, "api_key_file", file->card->api_key_file, "the key", no_links,
                             &d.api_key);
    if (status == STATUS_OK)
        status = open_secret(file, "proxy_auth_file", file->card->proxy_auth_file, "user:password",
                             no_links, &d.proxy_auth);
    if (status == STATUS_OK)
        status = open_mounts(file, no_links, &d);
    if (status != STATUS_OK) {
        card_descriptors_close(&d);
        return status;
    }
    *ret = d;
    return STATUS_OK;
}

void card_descriptors_close(struct card_descriptors *descriptors)
{
    descriptors->workspace = fd_close(descriptors->workspace);
    descriptors->api_key = fd_close(descriptors->api_key);
    descriptors->proxy_auth = fd_close(descriptors->proxy_auth);
    for (size_t i = 0; i < descriptors->n_mounts; i++)
        fd_close(descriptors->mounts[i]);
    descriptors->n_mounts = 0;
}

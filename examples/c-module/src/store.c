#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tls.h"

static char folder_path[200];

bool store_open(const char *folder)
{
    if (snprintf(folder_path, sizeof folder_path, "%s", folder) >= (int)sizeof folder_path) return false;
    return mkdir(folder, 0700) == 0 || errno == EEXIST; /* the key lives here (IDENT-002) */
}

static void path_of(char *to, size_t size, const char *name, const char *ending)
{
    snprintf(to, size, "%s/%s%s", folder_path, name, ending);
}

static bool write_all(int file, const void *bytes, size_t count)
{
    const char *at = bytes;
    while (count > 0) {
        ssize_t written = write(file, at, count);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        at += written, count -= (size_t)written;
    }
    return true;
}

/* A name is safe from a loss of power only when its folder has been synced as well. */
static bool sync_folder(void)
{
    int folder = open(folder_path, O_RDONLY);
    bool done = folder >= 0 && fsync(folder) == 0;
    if (folder >= 0) close(folder);
    return done;
}

bool store_put(const char *name, const void *bytes, size_t count)
{
    char path[256], fresh[256];
    uint8_t digest[HASH_SIZE];
    path_of(path, sizeof path, name, "");
    path_of(fresh, sizeof fresh, name, ".new");
    crypto_sha256(digest, bytes, count);
    int file = open(fresh, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0) return false;
    bool done = write_all(file, digest, sizeof digest) && write_all(file, bytes, count) && fsync(file) == 0;
    done = close(file) == 0 && done;
    return done && rename(fresh, path) == 0 && sync_folder();
}

store_result store_get(const char *name, void *to, size_t room, size_t *count)
{
    char path[256];
    uint8_t digest[HASH_SIZE], found[HASH_SIZE];
    path_of(path, sizeof path, name, "");
    FILE *file = fopen(path, "rb");
    if (!file) return errno == ENOENT ? STORE_MISSING : STORE_DAMAGED;
    bool whole = fread(digest, 1, sizeof digest, file) == sizeof digest;
    *count = fread(to, 1, room, file);
    whole = whole && fgetc(file) == EOF && !ferror(file);
    fclose(file);
    crypto_sha256(found, to, *count);
    ((char *)to)[*count] = '\0';
    return whole && memcmp(found, digest, sizeof digest) == 0 ? STORE_FOUND : STORE_DAMAGED;
}

bool store_remove(const char *name)
{
    char path[256];
    path_of(path, sizeof path, name, "");
    return (unlink(path) == 0 || errno == ENOENT) && sync_folder();
}

"""The file: its tables, how it is opened, and what happens to one that cannot be read.

- `module`, `series`: the catalogue. A series is a column `c<n>` of its module's wide table `m<n>`, one row
  per tick; columns are added as they first appear and never reused.
- `sealed_day`: a closed day of a module whose rows were packed. `times` goes when raw retention ends;
  `finest_s` says what is left (0 raw rows, else the finest roll-up).
- `packed`: the values of a series on a sealed day, in the order of the day's `times`.
- `day_roll`: the roll-ups of a sealed day; `hour_roll` those of 1 min of an hour of a day not yet sealed.
- `journal`: what was committed in the last minute and is not yet in the tables, one row per commit, and
  the `layout` that says whose its values are. A commit each second into the table of every module would
  write a page per module and second, which wears a memory card out.
- `event`: decisions and other records, append-only.

Times are whole milliseconds since 1970, UTC.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from ores.link.errors import ConfigError

APPLICATION_ID = 0x4F524553  # "ORES"
FORMAT = 1

_CHECK_WHOLE_BELOW_BYTES = 16 << 20
_BUSY_TIMEOUT_S = 1.0

_TABLES = """
CREATE TABLE module (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
CREATE TABLE series (
    n INTEGER PRIMARY KEY, module INTEGER NOT NULL, name TEXT NOT NULL, UNIQUE (module, name)
);
CREATE TABLE sealed_day (
    module INTEGER, day INTEGER, finest_s INTEGER NOT NULL, times BLOB, PRIMARY KEY (module, day)
) WITHOUT ROWID;
CREATE TABLE packed (series INTEGER, day INTEGER, vals BLOB NOT NULL, PRIMARY KEY (series, day));
CREATE TABLE day_roll (
    level_s INTEGER, series INTEGER, day INTEGER, buckets BLOB NOT NULL, PRIMARY KEY (level_s, series, day)
) WITHOUT ROWID;
CREATE TABLE rolled_hour (module INTEGER, hour INTEGER, PRIMARY KEY (module, hour)) WITHOUT ROWID;
CREATE TABLE hour_roll (
    series INTEGER, hour INTEGER, buckets BLOB NOT NULL, PRIMARY KEY (series, hour)
) WITHOUT ROWID;
CREATE TABLE layout (n INTEGER PRIMARY KEY, module TEXT NOT NULL, names TEXT NOT NULL);
CREATE TABLE journal (n INTEGER PRIMARY KEY, batch BLOB NOT NULL);
CREATE TABLE event (
    n INTEGER PRIMARY KEY, t INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL
);
CREATE INDEX event_by_time ON event (t);
CREATE INDEX event_by_subject ON event (subject, t);
"""

DAMAGED_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def is_damaged(error: Exception) -> bool:
    """Whether SQLite says that the file itself is broken, not merely that it cannot be written now."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(code, int) and code & 0xFF in DAMAGED_CODES


def open_writer(path: Path) -> sqlite3.Connection:
    """Open the file for its one writer, making it if it is not there.

    WAL, because readers then never wait for the writer nor the writer for them. `synchronous=NORMAL`
    survives any death of the process, since a commit is in the kernel by then; for the death of the machine
    the caller asks for a durable commit every few seconds (see `Store.write`).

    Raises:
        ConfigError: the path is a folder, or a database of something else or of a newer ORES: a person must
        act. sqlite3.Error: it is damaged (`is_damaged`) or cannot be opened now.
    """
    if path.is_dir():
        raise ConfigError("history file", found=str(path), allowed="a file; this is a folder")
    db = _connect(str(path), uri=False)
    try:
        _check_owner(db, path)
        db.execute("PRAGMA journal_mode=WAL")
        set_durable(db, durable=False)
        db.execute(
            "PRAGMA secure_delete=OFF"
        )  # overwriting freed pages would double the writes of sealing a day
        db.execute("PRAGMA journal_size_limit=16777216")
        # As many pages as that: a page that changes each minute goes to the card once in some minutes.
        db.execute("PRAGMA wal_autocheckpoint=4096")
        if db.execute("PRAGMA user_version").fetchone()[0] == 0:
            _create(db)
        _check_whole(db, path)
    except BaseException:
        db.close()
        raise
    return db


def open_reader(path: Path) -> sqlite3.Connection:
    """Open an existing file for reading only.

    Raises:
        sqlite3.Error: it is not there, damaged, or cannot be opened now.
    """
    return _connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def set_durable(db: sqlite3.Connection, *, durable: bool) -> None:
    """Whether the next commits wait until the disk has everything written so far."""
    db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")


def set_aside(path: Path) -> Path:
    """Rename a damaged file, with its log, to the first free `<name>.damaged-<k>`.

    Returns:
        Where it is now; nothing of it is deleted, `sqlite3 <file> .recover` may still read most of it.

    Raises:
        OSError: it cannot be renamed.
    """
    k = 1
    while (new := path.with_name(f"{path.name}.damaged-{k}")).exists():
        k += 1
    path.rename(new)
    for suffix in ("-wal", "-shm"):
        log = path.with_name(path.name + suffix)
        if log.exists():
            log.rename(new.with_name(new.name + suffix))
    return new


def _connect(target: str, *, uri: bool) -> sqlite3.Connection:
    # One thread at a time uses a connection, but not always the same one: the callers hold locks.
    return sqlite3.connect(
        target, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, uri=uri
    )


def _check_owner(db: sqlite3.Connection, path: Path) -> None:
    owner = db.execute("PRAGMA application_id").fetchone()[0]
    made_by = db.execute("PRAGMA user_version").fetchone()[0]
    empty = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if owner != APPLICATION_ID and not (owner == 0 and empty):
        raise ConfigError(
            "history file", found=str(path), allowed="a history of ORES; this is another database"
        )
    if made_by > FORMAT:
        raise ConfigError(
            "history file",
            found=f"{path} of format {made_by}",
            allowed=f"format {FORMAT} or older; update ORES",
        )


def _create(db: sqlite3.Connection) -> None:
    db.executescript(
        f"BEGIN IMMEDIATE; {_TABLES}"
        f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={FORMAT}; COMMIT;"
    )


def _check_whole(db: sqlite3.Connection, path: Path) -> None:
    """Look through a small file at once; a large one shows its damage where it is read, or a start would
    take minutes.
    """
    if path.stat().st_size > _CHECK_WHOLE_BELOW_BYTES:
        return
    with closing(db.execute("PRAGMA quick_check(1)")) as answer:
        verdict = answer.fetchone()[0]
    if verdict != "ok":
        error = sqlite3.DatabaseError(str(verdict))
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

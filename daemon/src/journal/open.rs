//! Opening a journal: the lock, the format, the tables, and what a start needs from it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use policy::fact::{IdKey, Settings};
use rusqlite::{Connection, params};

use super::decode::made_with;
use super::rollup::Rollups;
use super::snapshot::{self, Snapshot};
use super::{FILE, Journal, JournalError, Tail};

/// Format that this version writes, in `PRAGMA user_version`. Facts, decisions, orders and notices are kept as
/// postcard, which names no field: whoever changes the shape of one raises this, or an older journal is read as
/// garbage. `the_shape_of_what_is_kept_belongs_to_its_format` says when.
pub const FORMAT: i64 = 3;

/// "bkbx": so that a stray SQLite file is not taken for a journal.
const APPLICATION_ID: i64 = 0x626b_6278;

const LOCK: &str = "breakerbox.lock";

/// Statements that the writer keeps prepared: one for each kind of row, with room to spare.
const PREPARED: usize = 32;

const TABLES: &str = "
CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE turns(seq INTEGER PRIMARY KEY, wall INTEGER NOT NULL, fingerprint INTEGER NOT NULL,
                   blob BLOB NOT NULL);
CREATE TABLE decisions(id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL,
                       breaker TEXT, blob BLOB NOT NULL);
CREATE INDEX decisions_by_breaker ON decisions(breaker, id) WHERE breaker IS NOT NULL;
CREATE TABLE orders(id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, decision INTEGER NOT NULL,
                    target TEXT NOT NULL, state TEXT NOT NULL, resolved INTEGER NOT NULL DEFAULT 0,
                    blob BLOB NOT NULL);
CREATE INDEX orders_unresolved ON orders(id) WHERE resolved = 0;
CREATE INDEX orders_by_decision ON orders(decision);
CREATE TABLE receipts(id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL, seq INTEGER NOT NULL,
                      blob BLOB NOT NULL);
CREATE INDEX receipts_by_order ON receipts(order_id);
CREATE TABLE notices(id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, at INTEGER NOT NULL,
                     key TEXT NOT NULL UNIQUE, thread TEXT NOT NULL, route TEXT NOT NULL,
                     settled INTEGER NOT NULL DEFAULT 0, blob BLOB NOT NULL);
CREATE INDEX notices_unsettled ON notices(id) WHERE settled = 0;
CREATE TABLE deliveries(key TEXT NOT NULL, receiver TEXT NOT NULL, thread TEXT NOT NULL, handle TEXT,
                        at INTEGER NOT NULL, PRIMARY KEY(key, receiver)) WITHOUT ROWID;
CREATE TABLE rollups_minute(start INTEGER NOT NULL, tenant TEXT NOT NULL, model TEXT NOT NULL,
  amount TEXT NOT NULL, facts INTEGER NOT NULL, unpriced INTEGER NOT NULL,
  PRIMARY KEY(start, tenant, model)) WITHOUT ROWID;
CREATE TABLE rollups_hour(start INTEGER NOT NULL, tenant TEXT NOT NULL, model TEXT NOT NULL,
  amount TEXT NOT NULL, facts INTEGER NOT NULL, unpriced INTEGER NOT NULL,
  PRIMARY KEY(start, tenant, model)) WITHOUT ROWID;
";

/// A journal that is ready, and what to begin with.
#[derive(Debug)]
pub struct Opened {
    /// The writer.
    pub journal: Journal,
    /// The newest snapshot that reads well, if any.
    pub snapshot: Option<Snapshot>,
    /// It was made just now: nothing is known of what was held before.
    pub is_new: bool,
}

impl Opened {
    /// The turns after the snapshot, in order.
    ///
    /// # Errors
    /// When the journal cannot be read, or turns are missing between snapshot and tail.
    pub fn tail(&self) -> Result<Tail, JournalError> {
        let after = self.snapshot.as_ref().map_or(0, |s| s.seq);
        let reader = self.journal.reader()?;
        let first = reader.first_turn()?;
        match first {
            Some(first) if first > after + 1 => Err(JournalError::Gap { first, snapshot: after }),
            None if self.journal.seq() > after => {
                Err(JournalError::Gap { first: self.journal.seq() + 1, snapshot: after })
            }
            _ => Ok(reader.turns_after(after)),
        }
    }
}

impl Journal {
    /// Opens or makes the journal in that folder. `fix` gives the settings of a new one from its fresh id
    /// key; an old one keeps its own.
    ///
    /// # Errors
    /// When the folder is in use, the file is of another format, damaged, of something else, or cannot be written.
    pub fn open(folder: &Path, fix: impl FnOnce(IdKey) -> Settings) -> Result<Opened, JournalError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(JournalError::io("make the folder", folder))?;
        let lock = lock(folder)?;
        let path = folder.join(FILE);
        let mut conn = Connection::open(&path).map_err(JournalError::sql("open its file"))?;
        let is_new = check_format(&conn, &path)?;
        prepare(&conn)?;
        if is_new {
            make(&mut conn, fix)?;
        }
        let (id, settings, rolled) = made_with(&conn)?;
        let seq = last_seq(&conn)?;
        let snapshot = snapshot::newest(folder, &id, seq)?;
        let rollups = Rollups::starting_at(rolled);
        let journal = Self { conn, path, id, settings, seq, rollups, _lock: lock };
        Ok(Opened { journal, snapshot, is_new })
    }
}

fn lock(folder: &Path) -> Result<File, JournalError> {
    let path = folder.join(LOCK);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(JournalError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::InUse { path: folder.to_owned() }),
        Err(TryLockError::Error(source)) => Err(JournalError::Io { doing: "lock", path, source }),
    }
}

/// Whether the file is new; an error when it is not ours or of another format than ours.
fn check_format(conn: &Connection, path: &Path) -> Result<bool, JournalError> {
    let read = |pragma: &str| -> Result<i64, JournalError> {
        conn.query_row(pragma, [], |row| row.get(0)).map_err(|source| match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase) => JournalError::NotOurs { path: path.to_owned() },
            _ => JournalError::Sqlite { doing: "read its format", source },
        })
    };
    let tables = read("SELECT count(*) FROM sqlite_schema")?;
    let application = read("PRAGMA application_id")?;
    let format = read("PRAGMA user_version")?;
    match (tables, application, format) {
        (0, 0, 0) => Ok(true),
        (_, APPLICATION_ID, FORMAT) => Ok(false),
        (_, APPLICATION_ID, found) if found > FORMAT => {
            Err(JournalError::Newer { path: path.to_owned(), found, known: FORMAT })
        }
        (_, APPLICATION_ID, found) if found > 0 => {
            Err(JournalError::Older { path: path.to_owned(), found, known: FORMAT })
        }
        _ => Err(JournalError::NotOurs { path: path.to_owned() }),
    }
}

/// Durability first. The WAL is folded back by the keeper's own connection, so that no turn waits for it;
/// the limit here is the fall-back should the keeper be gone: 64 MiB.
fn prepare(conn: &Connection) -> Result<(), JournalError> {
    conn.set_prepared_statement_cache_capacity(PREPARED);
    conn.busy_timeout(std::time::Duration::from_secs(10)).map_err(JournalError::sql("set its patience"))?;
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 16384;
         PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF;",
    )
    .map_err(JournalError::sql("set its durability"))
}

fn make(conn: &mut Connection, fix: impl FnOnce(IdKey) -> Settings) -> Result<(), JournalError> {
    let fail = || JournalError::sql("make its tables");
    let random = random_words()?;
    let settings = fix(IdKey([random[0], random[1]]));
    let blob = postcard::to_stdvec(&settings).map_err(JournalError::damaged("settings", 0))?;
    let id = format!("{:016x}{:016x}", random[2], random[3]);
    let tx = conn.transaction().map_err(fail())?;
    tx.execute_batch(TABLES).map_err(fail())?;
    tx.execute("INSERT INTO meta VALUES('settings', ?1), ('id', ?2), ('rollups_seq', 0)", params![blob, id])
        .map_err(fail())?;
    tx.execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT};"))
        .map_err(fail())?;
    tx.commit().map_err(fail())
}

fn last_seq(conn: &Connection) -> Result<u64, JournalError> {
    let last: Option<i64> = conn
        .query_row("SELECT max(seq) FROM turns", [], |row| row.get(0))
        .map_err(JournalError::sql("find its last turn"))?;
    Ok(u64::try_from(last.unwrap_or(0)).unwrap_or(0))
}

/// Four words from the system's source of randomness.
fn random_words() -> Result<[u64; 4], JournalError> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0_u8; 32];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(JournalError::io("read", path))?;
    let mut words = [0; 4];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = chunk.iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
    }
    Ok(words)
}

/** Bounds of the engine itself. A vendor's own limits live with its translation. */

/**
 * A Durable Object's SQLite row holds 2 MB (Cloudflare documentation: "Maximum string, BLOB or table row size"). A payload longer than
 * this leaves its row for the chunk table, in pieces of this length: at most 900 kB of UTF-8, so that a row with two of them fits.
 */
export const TEXT_CHUNK_CHARS = 300_000;
export const BINARY_CHUNK_BYTES = 900_000;
/** Far-future due time: waits without a timeout. */
export const NEVER_MS = 8_640_000_000_000_000;
/** Ready calls kept in memory; the rest stay on disk until there is room. */
export const READY_IN_MEMORY = 10_000;
/**
 * Calls on their way to an executor at once, per cell. More of them do not go faster, they only wait at the app instead of here, and each costs about
 * 130 KiB in the runtime (measured with 500 and 2,000); after a restart they all go out together. `REPOINT_MAX_IN_FLIGHT` sets another bound where
 * more long calls run side by side.
 */
export const MAX_IN_FLIGHT = 256;
/** Ready calls that one look for work may move from one backlog to another; the rest are looked at next time. */
export const MAX_LOOKED_AT = 500;
/** Timers fired in one transaction; the rest follow in the next. */
export const TIMERS_PER_TICK = 500;
/** An object with calls in flight wakes at least this often, so that a lost object is started again by its alarm. */
export const RECOVERY_ALARM_MS = 30_000;
/** Default time a finished run, its history and its events are kept. */
export const RETENTION_MS = 30 * 86_400_000;
/** How often retention looks for what is too old, and how much it deletes in one transaction. */
export const RETENTION_EVERY_MS = 3_600_000;
export const RETENTION_BATCH = 200;
/** Rows of one page of any list. */
export const MAX_PAGE = 1_000;
/** Payloads of one page: far below the 32 MiB that the runtime allows a message between objects, also where text takes two bytes a character. */
export const PAGE_BYTES = 8_000_000;
/** Runs that one page, or one count, looks at before it answers with what it has: the cell does nothing else meanwhile. */
export const MAX_EXAMINED = 10_000;
/** Events that one page, or one count, looks at: some 2 ms, measured with bodies of 200 bytes; 5 ms with 2 kB. */
export const MAX_EVENTS_EXAMINED = 20_000;
/** Runs of one page that shows their states only. */
export const MAX_STATES = 20_000;
/** A push lease without an answer. Above the longest timeout a vendor allows a request (2 h), since the Dispatcher reports timeouts itself. */
export const PUSH_LEASE_MS = 2 * 3_600_000 + 60_000;
/** Runs whose state is kept in memory, and the size of a state above which it is not. */
export const CACHED_RUNS = 2_000;
export const CACHED_STATE_CHARS = 512_000;
/** Larger states than that which are kept all the same, and their bound: a run with thousands of children is not read anew for each that ends. */
export const LARGE_STATES = 4;
export const LARGE_STATE_CHARS = 16_000_000;
/** Steps a run may memoise; beyond it the run fails. */
export const MAX_STEPS = 10_000;
/** Calls and waits a run may have open at once. */
export const MAX_PENDING = 10_000;

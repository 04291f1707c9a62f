import type { AppendRequest, StreamChunk, StreamInfo, StreamPage } from '../model/channel.ts';
import { EngineError } from '../model/errors.ts';
import type { Clock, Sql } from '../ports.ts';

/** A chunk is one row, and a row has to stay below the platform's 2 MB. */
export const MAX_CHUNK_CHARS = 600_000;
/** As many as one append may carry; more is sent in several. */
const MAX_APPENDED_CHUNKS = 1_000;
/** A stream that is longer is a leak of its writer. */
const MAX_STREAM_CHARS = 100_000_000;
const MAX_STREAM_CHUNKS = 1_000_000;
/** Default of `retentionMs`: counted from the newest append. */
const RETENTION_MS = 30 * 86_400_000;
const MAX_PAGE_CHUNKS = 1_000;
/** A page ends after this many characters, with at least one chunk: it travels as one message. */
const MAX_PAGE_CHARS = 4_000_000;
const SWEPT_STREAMS = 50;

interface StreamRow extends Record<string, string | number> {
  last: number;
  chars: number;
  closed: number;
}

/** Ordered streams of text chunks over one SQLite, with what each writer has sent already, and retention. */
export class StreamStore {
  readonly #sql: Sql;
  readonly #clock: Clock;
  readonly #retentionMs: number;

  constructor(sql: Sql, clock: Clock, retentionMs: number = RETENTION_MS) {
    this.#sql = sql;
    this.#clock = clock;
    this.#retentionMs = retentionMs;
    sql.run(
      `CREATE TABLE IF NOT EXISTS streams (stream TEXT PRIMARY KEY, last INTEGER NOT NULL, chars INTEGER NOT NULL, closed INTEGER NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID`,
    );
    sql.run(
      `CREATE TABLE IF NOT EXISTS stream_chunks (stream TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, data TEXT NOT NULL, PRIMARY KEY (stream, seq)) WITHOUT ROWID`,
    );
    sql.run(
      `CREATE TABLE IF NOT EXISTS stream_writers (stream TEXT NOT NULL, writer TEXT NOT NULL, last_index INTEGER NOT NULL, PRIMARY KEY (stream, writer)) WITHOUT ROWID`,
    );
  }

  /**
   * All chunks or none. Of a writer's chunks those that it sent before are dropped.
   * @throws EngineError payload-too-large, too-many, run-ended (closed), bad-request (a gap in the writer's numbers)
   */
  append(stream: string, { chunks, writer, fromIndex, close }: AppendRequest): { last: number; writerIndex: number } {
    if (chunks.length > MAX_APPENDED_CHUNKS)
      throw new EngineError('too-many', `at most ${MAX_APPENDED_CHUNKS} chunks in one append`);
    for (const chunk of chunks)
      if (chunk.length > MAX_CHUNK_CHARS)
        throw new EngineError('payload-too-large', `a chunk has at most ${MAX_CHUNK_CHARS} characters`);
    return this.#sql.transaction(() => {
      const row = this.#row(stream) ?? { last: 0, chars: 0, closed: 0 };
      const known = writer === undefined ? -1 : this.#writerIndex(stream, writer);
      const first = fromIndex ?? known + 1;
      if (writer !== undefined && first > known + 1)
        throw new EngineError('bad-request', `chunk ${first} does not follow chunk ${known} of this writer`);
      const fresh = writer === undefined ? chunks : chunks.slice(known + 1 - first);
      if (row.closed === 1 && fresh.length > 0) throw new EngineError('run-ended', 'the stream is closed');
      const chars = fresh.reduce((sum, chunk) => sum + chunk.length, row.chars);
      if (chars > MAX_STREAM_CHARS || row.last + fresh.length > MAX_STREAM_CHUNKS)
        throw new EngineError(
          'payload-too-large',
          `a stream has at most ${MAX_STREAM_CHARS} characters in ${MAX_STREAM_CHUNKS} chunks`,
        );
      const now = this.#clock.now();
      let last = row.last;
      for (const chunk of fresh)
        this.#sql.run(
          `INSERT INTO stream_chunks (stream, seq, at, data) VALUES (?, ?, ?, ?)`,
          stream,
          ++last,
          now,
          chunk,
        );
      this.#sql.run(
        `INSERT OR REPLACE INTO streams (stream, last, chars, closed, expires) VALUES (?, ?, ?, ?, ?)`,
        stream,
        last,
        chars,
        close || row.closed === 1 ? 1 : 0,
        now + this.#retentionMs,
      );
      const writerIndex = known + fresh.length;
      if (writer !== undefined && fresh.length > 0)
        this.#sql.run(
          `INSERT OR REPLACE INTO stream_writers (stream, writer, last_index) VALUES (?, ?, ?)`,
          stream,
          writer,
          writerIndex,
        );
      return { last, writerIndex };
    });
  }

  read(stream: string, after: number, max: number = MAX_PAGE_CHUNKS): StreamPage {
    const row = this.#row(stream);
    if (!row) return { chunks: [], last: 0, closed: false };
    const chunks: StreamChunk[] = [];
    let chars = 0;
    for (const { seq, at, data } of this.#sql.all<{ seq: number; at: number; data: string }>(
      `SELECT seq, at, data FROM stream_chunks WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?`,
      stream,
      after,
      Math.min(max, MAX_PAGE_CHUNKS),
    )) {
      chars += data.length;
      if (chars > MAX_PAGE_CHARS && chunks.length > 0) break;
      chunks.push({ seq, atMs: at, data });
    }
    return { chunks, last: row.last, closed: row.closed === 1 };
  }

  info(stream: string, writer?: string): StreamInfo | null {
    const row = this.#row(stream);
    return (
      row && {
        last: row.last,
        closed: row.closed === 1,
        writerIndex: writer === undefined ? -1 : this.#writerIndex(stream, writer),
      }
    );
  }

  /** When the next stream runs out, or null. */
  nextExpiry(): number | null {
    return this.#sql.all<{ at: number | null }>(`SELECT MIN(expires) AS at FROM streams`)[0]?.at ?? null;
  }

  /** Deletes streams that ran out, a few at a time. */
  sweep(): void {
    const expired = this.#sql.all<{ stream: string }>(
      `SELECT stream FROM streams WHERE expires <= ? LIMIT ?`,
      this.#clock.now(),
      SWEPT_STREAMS,
    );
    this.#sql.transaction(() => {
      for (const { stream } of expired)
        for (const table of ['streams', 'stream_chunks', 'stream_writers'])
          this.#sql.run(`DELETE FROM ${table} WHERE stream = ?`, stream);
    });
  }

  #row(stream: string): StreamRow | null {
    return (
      this.#sql.all<StreamRow>(
        `SELECT last, chars, closed FROM streams WHERE stream = ? AND expires > ?`,
        stream,
        this.#clock.now(),
      )[0] ?? null
    );
  }

  #writerIndex(stream: string, writer: string): number {
    return (
      this.#sql.all<{ last_index: number }>(
        `SELECT last_index FROM stream_writers WHERE stream = ? AND writer = ?`,
        stream,
        writer,
      )[0]?.last_index ?? -1
    );
  }
}

import { joinBytes } from '../model/bytes.ts';
import { EngineError } from '../model/errors.ts';
import type { Clock, Sql, SqlValue } from '../ports.ts';
import { toBytes } from '../store/payloads.ts';

/** One row; a row has to stay below the platform's 2 MB. */
const CHUNK_BYTES = 900_000;
const RETENTION_MS = 30 * 86_400_000;
/** An upload that has not ended by then never will. */
const UPLOAD_MS = 3_600_000;
const SWEPT_BLOBS = 20;

export interface BlobInfo {
  sizeBytes: number;
  contentType: string | null;
  /** Names the chunks, for `chunk`. */
  upload: string;
  chunks: number;
}

/** Files in chunks over one SQLite. A file is there once its last chunk is; replacing one leaves readers of the old with a missing chunk, not with a mixture. */
export class BlobStore {
  readonly #sql: Sql;
  readonly #clock: Clock;
  readonly #retentionMs: number;

  constructor(sql: Sql, clock: Clock, retentionMs: number = RETENTION_MS) {
    this.#sql = sql;
    this.#clock = clock;
    this.#retentionMs = retentionMs;
    sql.run(
      `CREATE TABLE IF NOT EXISTS blobs (key TEXT PRIMARY KEY, upload TEXT NOT NULL, size INTEGER NOT NULL, chunks INTEGER NOT NULL, type TEXT, expires INTEGER NOT NULL) WITHOUT ROWID`,
    );
    sql.run(
      `CREATE TABLE IF NOT EXISTS blob_chunks (upload TEXT NOT NULL, n INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (upload, n)) WITHOUT ROWID`,
    );
    sql.run(
      `CREATE TABLE IF NOT EXISTS blob_uploads (upload TEXT PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID`,
    );
  }

  /**
   * Writes while the body arrives; nothing of a body that breaks off remains. `upload` must be new.
   * @throws EngineError payload-too-large
   */
  async put(
    key: string,
    upload: string,
    body: AsyncIterable<Uint8Array>,
    options: { contentType?: string | null; maxBytes: number },
  ): Promise<{ sizeBytes: number }> {
    this.#sql.run(`INSERT INTO blob_uploads (upload, expires) VALUES (?, ?)`, upload, this.#clock.now() + UPLOAD_MS);
    let size = 0;
    let n = 0;
    try {
      for await (const chunk of inChunks(body, CHUNK_BYTES)) {
        size += chunk.byteLength;
        if (size > options.maxBytes)
          throw new EngineError('payload-too-large', `at most ${options.maxBytes} bytes are taken here`);
        this.#sql.run(`INSERT INTO blob_chunks (upload, n, data) VALUES (?, ?, ?)`, upload, n++, chunk);
      }
    } catch (error) {
      this.#sql.transaction(() => this.#drop(upload));
      throw error;
    }
    this.#sql.transaction(() => {
      this.delete(key);
      this.#sql.run(
        `INSERT INTO blobs (key, upload, size, chunks, type, expires) VALUES (?, ?, ?, ?, ?, ?)`,
        key,
        upload,
        size,
        n,
        options.contentType ?? null,
        this.#clock.now() + this.#retentionMs,
      );
      this.#sql.run(`DELETE FROM blob_uploads WHERE upload = ?`, upload);
    });
    return { sizeBytes: size };
  }

  info(key: string): BlobInfo | null {
    const row = this.#sql.all<{ upload: string; size: number; chunks: number; type: string | null }>(
      `SELECT upload, size, chunks, type FROM blobs WHERE key = ? AND expires > ?`,
      key,
      this.#clock.now(),
    )[0];
    return row ? { upload: row.upload, sizeBytes: row.size, chunks: row.chunks, contentType: row.type } : null;
  }

  /** @throws Error when the file was replaced or deleted meanwhile */
  chunk(upload: string, n: number): Uint8Array {
    const row = this.#sql.all<{ data: SqlValue }>(
      `SELECT data FROM blob_chunks WHERE upload = ? AND n = ?`,
      upload,
      n,
    )[0];
    if (!row) throw new Error('the file was replaced while it was read');
    return toBytes(row.data);
  }

  delete(key: string): void {
    const row = this.#sql.all<{ upload: string }>(`SELECT upload FROM blobs WHERE key = ?`, key)[0];
    if (!row) return;
    this.#drop(row.upload);
    this.#sql.run(`DELETE FROM blobs WHERE key = ?`, key);
  }

  nextExpiry(): number | null {
    const [row] = this.#sql.all<{ at: number | null }>(
      `SELECT MIN(at) AS at FROM (SELECT MIN(expires) AS at FROM blobs UNION ALL SELECT MIN(expires) FROM blob_uploads)`,
    );
    return row?.at ?? null;
  }

  /** Deletes files that ran out and uploads that broke off with their process, a few at a time. */
  sweep(): void {
    const now = this.#clock.now();
    this.#sql.transaction(() => {
      for (const { key } of this.#sql.all<{ key: string }>(
        `SELECT key FROM blobs WHERE expires <= ? LIMIT ?`,
        now,
        SWEPT_BLOBS,
      ))
        this.delete(key);
      for (const { upload } of this.#sql.all<{ upload: string }>(
        `SELECT upload FROM blob_uploads WHERE expires <= ? LIMIT ?`,
        now,
        SWEPT_BLOBS,
      ))
        this.#drop(upload);
    });
  }

  #drop(upload: string): void {
    this.#sql.run(`DELETE FROM blob_chunks WHERE upload = ?`, upload);
    this.#sql.run(`DELETE FROM blob_uploads WHERE upload = ?`, upload);
  }
}

/** The same bytes in pieces of one size, the last one shorter. */
async function* inChunks(body: AsyncIterable<Uint8Array>, sizeBytes: number): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let have = 0;
  for await (let piece of body) {
    while (have + piece.byteLength >= sizeBytes) {
      const taken = sizeBytes - have;
      yield joinBytes([...parts, piece.subarray(0, taken)]);
      piece = piece.subarray(taken);
      parts = [];
      have = 0;
    }
    if (piece.byteLength > 0) parts.push(piece);
    have += piece.byteLength;
  }
  if (have > 0) yield joinBytes(parts);
}

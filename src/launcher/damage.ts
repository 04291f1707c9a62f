// Looks into SQLite files that nobody has open: the write-ahead log by its own frames, the pages by SQLite's own check.
// Layouts: https://www.sqlite.org/fileformat2.html#the_write_ahead_log and https://www.sqlite.org/walformat.html.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

/** Databases are read whole up to this many bytes in all, which costs about 100 ms. What lies beyond is met at run time. */
const MAX_CHECKED_BYTES = 64 * 1024 * 1024;
const MAX_CHECKED_FILES = 256;
/** SQLite checkpoints at 4 MB; a log that is longer by far is not read here. */
const MAX_LOG_BYTES = MAX_CHECKED_BYTES;

const LOG_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
/** The last bit says in which order the bytes of the sums are read. */
const LOG_MAGIC = 0x377f0682;
const INDEX_VERSION = 3_007_000;
const INDEX_HEADER_BYTES = 48;
/** SQLITE_CORRUPT and SQLITE_NOTADB, the low byte of the extended codes. */
const DAMAGE_CODES = [11, 26];

export interface Damage {
  file: string;
  /** Continues "the database <file> is damaged: ". */
  what: string;
}

/** Every database below a directory, the smallest first. */
export function databasesIn(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.sqlite'))
    .map((entry) => path.join(entry.parentPath, entry.name))
    .map((file) => ({ file, bytes: statSync(file).size + sizeOf(`${file}-wal`) }))
    .sort((a, b) => a.bytes - b.bytes)
    .map(({ file }) => file);
}

/** The first damage found in the databases below a directory, within the bounds above. */
export function findDamage(root: string): Damage | undefined {
  const files = databasesIn(root).slice(0, MAX_CHECKED_FILES);
  for (const file of files) {
    const what = logDamage(file);
    if (what !== undefined) return { file, what };
  }
  let left = MAX_CHECKED_BYTES;
  for (const file of files) {
    left -= statSync(file).size + sizeOf(`${file}-wal`);
    if (left < 0) return undefined;
    const what = pageDamage(file);
    if (what !== undefined) return { file, what };
  }
  return undefined;
}

/**
 * What a crash of the process or of the machine cannot have done to the write-ahead log: SQLite itself takes such a log for a shorter one and
 * says nothing, and acknowledged work is gone.
 */
export function logDamage(file: string): string | undefined {
  const index = readIndex(`${file}-shm`);
  const log = sizeOf(`${file}-wal`) > MAX_LOG_BYTES ? undefined : readFile(`${file}-wal`);
  if (log === undefined && sizeOf(`${file}-wal`) > 0) return undefined;
  const accept = `To go on with what is left, remove ${file}-shm`;
  if (log === undefined || log.length < LOG_HEADER_BYTES) {
    if (index === undefined || index.frames <= index.checkpointed) return undefined;
    return `its write-ahead log is gone, with ${index.frames - index.checkpointed} pages that were not in the database yet. ${accept}`;
  }
  const pageBytes = log.readUInt32BE(8);
  const sum = new Sum((log.readUInt32BE(0) & 1) === 1);
  sum.add(log, 0, 24);
  if ((log.readUInt32BE(0) & ~1) !== LOG_MAGIC || !sum.is(log, 24)) {
    if (log.length < LOG_HEADER_BYTES + FRAME_HEADER_BYTES) return undefined;
    return 'the head of its write-ahead log is not one';
  }
  const frameBytes = FRAME_HEADER_BYTES + pageBytes;
  const salts = log.subarray(16, 24);
  let valid = 0;
  let committed = 0;
  let commitsAfterBreak = 0;
  for (let at = LOG_HEADER_BYTES; at + frameBytes <= log.length; at += frameBytes) {
    // What is left of an earlier round of the log.
    if (!log.subarray(at + 8, at + 16).equals(salts)) continue;
    const isCommit = log.readUInt32BE(at + 4) !== 0;
    if (at === LOG_HEADER_BYTES + valid * frameBytes) {
      sum.add(log, at, 8);
      sum.add(log, at + FRAME_HEADER_BYTES, pageBytes);
      if (sum.is(log, at + 16)) {
        valid++;
        if (isCommit) committed = valid;
        continue;
      }
    }
    if (isCommit) commitsAfterBreak++;
  }
  // A commit is on the disk before the next one begins: a break with two behind it is no crash's.
  if (commitsAfterBreak > 1) return `frame ${valid + 1} of its write-ahead log is damaged, with commits behind it`;
  const isShorter = index !== undefined && index.salts.equals(salts) && index.frames > committed;
  // Where all of them are in the database and none is left in the log, nothing is missing.
  if (isShorter && !(committed === 0 && index.checkpointed >= index.frames))
    return `its write-ahead log ends after ${committed} of ${index.frames} frames. ${accept}`;
  return undefined;
}

/** SQLite's own look at the structure of every page. Nothing where this Node has no SQLite (before 22.5). */
function pageDamage(file: string): string | undefined {
  const sqlite = process.getBuiltinModule?.('node:sqlite');
  if (sqlite === undefined) return undefined;
  try {
    const database = new sqlite.DatabaseSync(file, { readOnly: true });
    try {
      const [row] = database.prepare('PRAGMA quick_check(1)').all();
      const found = String(row?.quick_check ?? 'ok');
      return found === 'ok' ? undefined : oneLine(found);
    } finally {
      database.close();
    }
  } catch (error) {
    const { errcode, message } = error as Error & { errcode?: number };
    return DAMAGE_CODES.includes((errcode ?? 0) & 0xff) ? oneLine(message) : undefined;
  }
}

interface LogIndex {
  /** Frames up to the last commit. Written after they are. */
  frames: number;
  /** Of these, how many are in the database as well. */
  checkpointed: number;
  salts: Buffer;
}

/** The head of the index that SQLite keeps beside the log; it outlives a process that was killed. Nothing if it is not whole. */
function readIndex(file: string): LogIndex | undefined {
  const bytes = readFile(file);
  if (bytes === undefined || bytes.length < 2 * INDEX_HEADER_BYTES + 4) return undefined;
  const head = bytes.subarray(0, INDEX_HEADER_BYTES);
  if (!head.equals(bytes.subarray(INDEX_HEADER_BYTES, 2 * INDEX_HEADER_BYTES))) return undefined;
  // In the order of this machine, which is little-endian wherever the runtime has a build.
  const sum = new Sum(false);
  sum.add(head, 0, 40);
  if (head.readUInt32LE(0) !== INDEX_VERSION || head[12] === 0 || !sum.isLittle(head, 40)) return undefined;
  return {
    frames: head.readUInt32LE(16),
    checkpointed: bytes.readUInt32LE(2 * INDEX_HEADER_BYTES),
    salts: head.subarray(32, 40),
  };
}

/** The running sum of the format: two words, over pairs of words. */
class Sum {
  #a = 0;
  #b = 0;
  readonly #big: boolean;

  constructor(big: boolean) {
    this.#big = big;
  }

  add(bytes: Buffer, from: number, length: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const little = !this.#big;
    let a = this.#a;
    let b = this.#b;
    for (let at = from; at < from + length; at += 8) {
      a = (a + view.getUint32(at, little) + b) >>> 0;
      b = (b + view.getUint32(at + 4, little) + a) >>> 0;
    }
    this.#a = a;
    this.#b = b;
  }

  is(bytes: Buffer, at: number): boolean {
    return bytes.readUInt32BE(at) === this.#a && bytes.readUInt32BE(at + 4) === this.#b;
  }

  isLittle(bytes: Buffer, at: number): boolean {
    return bytes.readUInt32LE(at) === this.#a && bytes.readUInt32LE(at + 4) === this.#b;
  }
}

function readFile(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

function oneLine(text: string): string {
  return text.replaceAll('*** in database main ***', '').replaceAll(/\s+/g, ' ').trim();
}

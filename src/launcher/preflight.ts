// Everything that can be known to fail before the runtime starts, said in the user's words.
import { execFile } from 'node:child_process';
import { closeSync, fsyncSync, mkdirSync, openSync, readSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { databasesIn, type Damage } from './damage.ts';
import { StartError } from './errors.ts';
import { ownerOfPort } from './processes.ts';

/** Below this SQLite cannot be trusted to finish a checkpoint of its write-ahead log (4 MB by default), let alone grow. */
const MIN_FREE_BYTES = 32 * 1024 * 1024;
const PROBE_BYTES = 64 * 1024;
/** For the look into the databases, which takes a tenth of a second; on a machine that is that busy the start goes on without it. */
const CHECK_DEADLINE_MS = 10_000;
const SQLITE_MAGIC = 'SQLite format 3\0';

/**
 * Makes the data directory if needed and proves that it can be written, synced and has room.
 * @returns its absolute path
 * @throws StartError naming the directory, the reason and the mend
 */
export function prepareDataDir(dataDir: string): string {
  const absolute = path.resolve(dataDir);
  const existing = statSync(absolute, { throwIfNoEntry: false });
  if (existing && !existing.isDirectory()) {
    throw new StartError(`${absolute} is a file, not a directory. Choose another place with --data.`);
  }
  try {
    makeDirectory(path.join(absolute, 'objects'));
    probeWrite(absolute);
  } catch (error) {
    throw new StartError(explainWriteFailure(absolute, error as NodeJS.ErrnoException));
  }
  const { bavail, bsize } = statfsSync(absolute);
  if (bavail * bsize < MIN_FREE_BYTES) throw new StartError(fullDisk(absolute));
  return absolute;
}

/** As `mkdir -p`. Node's own recursion never ends where a file system knows no new entries, as /proc does. */
function makeDirectory(directory: string): void {
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory()) return;
  const parent = path.dirname(directory);
  if (parent !== directory) makeDirectory(parent);
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !statSync(directory).isDirectory()) throw error;
  }
}

function probeWrite(directory: string): void {
  const probe = path.join(directory, `.probe-${process.pid}`);
  const fd = openSync(probe, 'w', 0o600);
  try {
    writeSync(fd, Buffer.alloc(PROBE_BYTES));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
    rmSync(probe, { force: true });
  }
}

/** Exported for tests: the causes cannot all be provoked on every machine. */
export function explainWriteFailure(directory: string, error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return fullDisk(directory);
    case 'EACCES':
    case 'EPERM':
      return `no permission to write in ${directory} (as user ${process.getuid?.() ?? 'unknown'}). Change its owner or mode, or choose another directory with --data.`;
    case 'EROFS':
      return `${directory} is on a read-only file system. Choose another directory with --data.`;
    case 'ENOENT':
      return `no directory can be made at ${directory}: the file system there takes no new entries. Choose another place with --data.`;
    case 'ENOTDIR':
    case 'EEXIST':
      return `a part of the path ${directory} is a file, not a directory. Choose another place with --data.`;
    default:
      return `cannot use the data directory ${directory}: ${error.message}. Choose another one with --data.`;
  }
}

function fullDisk(directory: string): string {
  return `the disk of ${directory} is full (less than ${MIN_FREE_BYTES / 1024 / 1024} MB free). Free some space, or choose another directory with --data. Nothing stored is lost.`;
}

/**
 * Looks at the head of every database in the data directory: a foreign or truncated file is found before anything is served.
 * @throws StartError naming the file
 */
export function checkDatabases(dataDir: string): void {
  for (const file of databasesIn(path.join(dataDir, 'objects'))) {
    const what = headDamage(file);
    if (what !== undefined) throw damaged(dataDir, { file, what });
  }
}

/**
 * Looks further than `checkDatabases`: into the write-ahead logs and, within bounds, into every page (damage.ts). Must end before the runtime
 * opens the files.
 * @param script the bundle of check-data.ts
 * @throws StartError naming the file
 */
export async function checkContents(dataDir: string, script: string): Promise<void> {
  const root = path.join(dataDir, 'objects');
  if (databasesIn(root).length === 0) return;
  const output = await new Promise<string>((resolve) => {
    const args = ['--no-warnings', script, root];
    execFile(process.execPath, args, { timeout: CHECK_DEADLINE_MS, env: {} }, (error, stdout, stderr) => {
      if (error) process.stderr.write(`repoint: the databases were not looked into: ${stderr || error.message}\n`);
      resolve(error ? '' : stdout);
    });
  });
  if (output !== '') throw damaged(dataDir, JSON.parse(output) as Damage);
}

function damaged(dataDir: string, { file, what }: Damage): StartError {
  return new StartError(
    `the database ${file} is damaged: ${what}. Restore the data directory ${dataDir} from a backup, ` +
      `try "sqlite3 <file> .recover", or start empty with another --data.`,
  );
}

function headDamage(file: string): string | undefined {
  const sizeBytes = statSync(file).size;
  // An empty file is a database nobody has committed to yet; its content may still be in the write-ahead log.
  if (sizeBytes === 0) return undefined;
  const head = Buffer.alloc(100);
  const fd = openSync(file, 'r');
  try {
    if (readSync(fd, head, 0, head.length, 0) < head.length) return `it ends after ${sizeBytes} bytes`;
  } finally {
    closeSync(fd);
  }
  if (head.toString('latin1', 0, 16) !== SQLITE_MAGIC) return 'it does not begin as a SQLite file does';
  // https://www.sqlite.org/fileformat.html: page size at offset 16, where 1 means 65,536.
  const declared = head.readUInt16BE(16);
  const pageBytes = declared === 1 ? 65_536 : declared;
  if (pageBytes < 512 || (pageBytes & (pageBytes - 1)) !== 0) return `its page size is ${pageBytes}`;
  if (sizeBytes % pageBytes !== 0) return `it was cut in the middle of a page`;
  return undefined;
}

/**
 * Proves that the address can be listened on.
 * @throws StartError naming the port's owner where the system shows it
 */
export async function checkPort(host: string, port: number): Promise<void> {
  if (port === 0) return;
  await new Promise<void>((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) =>
      reject(new StartError(explainListenFailure(host, port, error))),
    );
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve()));
  });
}

function explainListenFailure(host: string, port: number, error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'EADDRINUSE': {
      const owner = ownerOfPort(port);
      const who = owner ? `pid ${owner.pid}${owner.command ? ` (${owner.command})` : ''}` : 'another process';
      return `port ${port} on ${host} is in use by ${who}. Stop it, or choose another port with --port (0 picks a free one).`;
    }
    case 'EACCES':
      return `no permission to listen on port ${port}: ports below 1024 need privileges. Choose another one with --port.`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `this machine has no address "${host}". Use 127.0.0.1, 0.0.0.0 or one of its own with --host.`;
    default:
      return `cannot listen on ${host}:${port}: ${error.message}`;
  }
}

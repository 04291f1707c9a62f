// One server per data directory. The lock file names its owner; an owner that no longer runs has crashed, and its lock is
// taken over together with any runtime process it left behind.
import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { StartError } from './errors.ts';
import { commandOf, identify, isRunning, processSpace, type ProcessIdentity } from './processes.ts';

export interface LockContent {
  token: string;
  owner: ProcessIdentity;
  host: string;
  space: string | undefined;
  runtime?: ProcessIdentity;
  url?: string;
  /** Where and how to ask the runtime to drain; readable by the owner of the directory only. */
  internalToken?: string;
}

export interface Lock {
  /** Throws StartError if a competitor got hold of the directory while a stale lock was taken over. */
  assertHeld(): void;
  /** Records facts about the running server for the next one and for tools. */
  update(facts: Pick<LockContent, 'runtime' | 'url' | 'internalToken'>): void;
  release(): void;
}

const FILE = 'server.lock';
const HEARTBEAT_MS = 5_000;
/** A lock from another machine or container cannot be checked by pid; it counts as alive while it is touched. */
const FOREIGN_STALE_MS = 3 * HEARTBEAT_MS;
const ATTEMPTS = 5;

export function lockFile(dataDir: string): string {
  return path.join(dataDir, FILE);
}

export function readLock(dataDir: string): LockContent | undefined {
  try {
    return JSON.parse(readFileSync(lockFile(dataDir), 'utf8')) as LockContent;
  } catch {
    return undefined;
  }
}

/**
 * Takes the data directory, ending the runtime of a crashed owner first.
 * @throws StartError when a running server holds it
 */
export function acquireLock(dataDir: string): Lock {
  const file = lockFile(dataDir);
  let content: LockContent = {
    token: randomUUID(),
    owner: identify(process.pid),
    host: os.hostname(),
    space: processSpace(),
  };
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (createExclusively(file, content)) return hold();
    const text = readText(file);
    if (text === undefined) continue;
    const other = parseLock(text);
    if (other && ownerLives(other, file)) throw new StartError(describeOwner(dataDir, other));
    if (other) endOrphan(other, dataDir);
    removeExactly(file, text);
  }
  throw new StartError(`could not take the lock ${file}: other servers keep starting on the same directory`);

  function hold(): Lock {
    const heartbeat = setInterval(() => touch(file), HEARTBEAT_MS);
    heartbeat.unref();
    const assertHeld = (): void => {
      const other = readLock(dataDir);
      if (other && other.token !== content.token) throw new StartError(describeOwner(dataDir, other));
    };
    return {
      assertHeld,
      update(facts) {
        assertHeld();
        content = { ...content, ...facts };
        const temporary = `${file}.${content.token}`;
        writeFileSync(temporary, JSON.stringify(content), { mode: 0o600 });
        renameSync(temporary, file);
      },
      release() {
        clearInterval(heartbeat);
        if (readLock(dataDir)?.token === content.token) rmSync(file, { force: true });
      },
    };
  }
}

function createExclusively(file: string, content: LockContent): boolean {
  // A link appears with its content or not at all, so nobody reads a lock that is half written.
  const temporary = `${file}.${content.token}`;
  try {
    writeFileSync(temporary, JSON.stringify(content), { mode: 0o600 });
    linkSync(temporary, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
}

function ownerLives(other: LockContent, file: string): boolean {
  if (other.space === processSpace()) return isRunning(other.owner);
  const touchedAtMs = statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return Date.now() - touchedAtMs < FOREIGN_STALE_MS;
}

function describeOwner(dataDir: string, other: LockContent): string {
  const where = other.host === os.hostname() ? '' : ` on host ${other.host}`;
  const command = other.space === processSpace() ? commandOf(other.owner.pid) : undefined;
  return (
    `the data directory ${dataDir} is in use by another server, pid ${other.owner.pid}${where}` +
    `${other.url ? `, at ${other.url}` : ''}${command ? ` (${command})` : ''}. ` +
    `Stop that one, or choose another directory with --data.`
  );
}

/** Two runtimes on one SQLite directory would corrupt it, so what a crashed launcher left must be gone before we go on. */
function endOrphan(other: LockContent, dataDir: string): void {
  const { runtime } = other;
  if (!runtime || other.space !== processSpace() || !isRunning(runtime)) return;
  if (!commandOf(runtime.pid)?.includes(dataDir)) return;
  process.kill(runtime.pid, 'SIGKILL');
  const deadline = Date.now() + 5_000;
  while (isRunning(runtime)) {
    if (Date.now() > deadline) {
      throw new StartError(`pid ${runtime.pid}, left by a crashed server, still uses ${dataDir} and cannot be ended`);
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
  }
}

/** Removes the lock only if it still says what we judged; a competitor may have replaced it in the meantime. */
function removeExactly(file: string, expected: string): void {
  const aside = `${file}.stale-${randomUUID()}`;
  try {
    renameSync(file, aside);
  } catch {
    return;
  }
  if (readText(aside) !== expected) {
    try {
      linkSync(aside, file);
    } catch {
      // Somebody else holds the directory already; the next attempt sees them.
    }
  }
  rmSync(aside, { force: true });
}

function touch(file: string): void {
  try {
    const now = new Date();
    utimesSync(file, now, now);
  } catch {
    // The directory is gone; the runtime will report it.
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function parseLock(text: string): LockContent | undefined {
  try {
    return JSON.parse(text) as LockContent;
  } catch {
    return undefined;
  }
}

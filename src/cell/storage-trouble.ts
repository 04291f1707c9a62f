/** What keeps the engine from its data. `/health` tells it; nothing else depends on it. */
export interface StorageTrouble {
  status: 'data damaged' | 'disk full' | 'disk failing';
  mend: string;
}

/** Messages of SQLite as the runtime throws them; an error that has crossed to another object is a message only. */
const KNOWN: ReadonlyArray<{ pattern: RegExp; trouble: StorageTrouble }> = [
  {
    pattern: /SQLITE_(CORRUPT|NOTADB)/,
    trouble: {
      status: 'data damaged',
      mend: 'a database of the data directory is damaged: stop the server and restore the directory from a backup',
    },
  },
  {
    pattern: /SQLITE_FULL/,
    trouble: {
      status: 'disk full',
      mend: 'the disk of the data directory is full: free some space, work goes on by itself; nothing acknowledged is lost',
    },
  },
  {
    pattern: /SQLITE_(IOERR|READONLY|CANTOPEN)/,
    trouble: {
      status: 'disk failing',
      mend: 'the data directory cannot be read or written: check the disk, the owner and the mode of the files',
    },
  },
];

/** How long an error counts after the last of its kind: a small write may succeed on a disk that is full for a larger one. */
const COUNTS_MS = 10_000;

/** Of the process: locally every request and object of the Worker shares this module. */
let current: StorageTrouble | null = null;
let lastMs = 0;

/** Damage does not mend itself; anything else is over when it has not been met for a while. */
export function storageTrouble(nowMs = Date.now()): StorageTrouble | null {
  if (current?.status !== 'data damaged' && nowMs - lastMs > COUNTS_MS) return null;
  return current;
}

/** Notes what an error says of the storage, and says it in the log when it is news. An error of another kind changes nothing. */
export function noteStorageError(error: unknown, nowMs = Date.now()): void {
  const found = KNOWN.find(({ pattern }) => pattern.test(String(error)))?.trouble;
  const before = storageTrouble(nowMs);
  if (!found || before?.status === 'data damaged') return;
  current = found;
  lastMs = nowMs;
  if (found !== before) console.error(`storage: ${found.mend}:`, error);
}

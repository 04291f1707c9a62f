// Turns what the runtime printed before it ended into a reason and a mend.

const KNOWN: readonly { pattern: RegExp; message: string }[] = [
  {
    pattern: /SQLITE_CORRUPT|database disk image is malformed|SQLITE_NOTADB|file is not a database/i,
    message:
      'a database in the data directory is damaged. Restore the directory from a backup, or start empty with another --data.',
  },
  {
    pattern: /SQLITE_FULL|database or disk is full|No space left on device/i,
    message: 'the disk of the data directory is full. Free some space and start again; nothing acknowledged is lost.',
  },
  {
    pattern: /SQLITE_READONLY|Read-only file system|Permission denied/i,
    message: 'the runtime may not write in the data directory. Check its owner and mode.',
  },
  {
    pattern: /SQLITE_IOERR|disk I\/O error/i,
    message: 'reading or writing the data directory failed. Check the disk and the system log.',
  },
  {
    pattern: /Address already in use/i,
    message: 'the port was taken by another process while the server started. Choose another one with --port.',
  },
  {
    pattern: /GLIBC_[\d.]+' not found|cannot execute binary|Exec format error/i,
    message:
      'the runtime (workerd) does not run on this system. It needs glibc 2.35 or later on Linux, or macOS 13.5 or later.',
  },
  {
    pattern: /out of memory|Cannot allocate memory/i,
    message: 'the runtime ran out of memory.',
  },
];

/** The mend for a line of the runtime's output, where we know one. */
export function knownProblem(output: string): string | undefined {
  return KNOWN.find(({ pattern }) => pattern.test(output))?.message;
}

/** Says in one paragraph why the runtime ended: a known cause, or how it ended and the last lines it printed. */
export function explainRuntimeOutput(output: string, code: number | null, signal: NodeJS.Signals | null): string {
  const how = signal ? `was ended by ${signal}` : `ended with code ${code}`;
  const lines = output.trim().split('\n').slice(-8).join('\n  ');
  const last = lines.trim() ? `\n  ${lines}` : '';
  return `the runtime ${how}: ${knownProblem(output) ?? (signal === 'SIGKILL' ? 'killed by the system or by hand.' : 'see its last output.')}${last}`;
}

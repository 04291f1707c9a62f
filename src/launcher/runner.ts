// A process that can be begun anew without giving up what it listens on: a shell holds the sockets and starts it, as often as it is told.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import os from 'node:os';
import type { Readable, Writable } from 'node:stream';

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface Runner {
  /** What the process writes: standard output and error, and its control descriptor (3). Of all that are started, one after the other. */
  readonly output: readonly Readable[];
  readonly control: Readable;
  /** May `start` be called again when the process has ended? */
  readonly again: boolean;
  /** Resolves with the id of the process. */
  start(): Promise<number>;
  /** Resolves when the one that was started last has ended. */
  exited(): Promise<Exit>;
  /** No more is started. Resolves when all of the output has been read. */
  close(): Promise<void>;
}

const SHELL = '/bin/sh';
/** Descriptors of the process and its shell: 3 control, 4 what the shell reports, 5 open for as long as we live, then the sockets. */
export const FIRST_SOCKET = 6;

/**
 * Starts its arguments at each line read, and reports `pid N`, then `end <code>`. The process does not notice that we are gone: a second shell waits on a pipe
 * that only we hold open, and ends it when that closes, however we died.
 */
const SCRIPT = `while read -r _; do
  "$@" </dev/null 4>&- 5<&- &
  pid=$!
  { read -r _ <&5; kill -9 $pid; } >/dev/null 2>&1 3>&- 4>&- 6<&- 7<&- &
  guard=$!
  echo "pid $pid" >&4
  wait $pid 2>/dev/null
  code=$?
  kill -9 $guard 2>/dev/null
  wait $guard 2>/dev/null
  echo "end $code" >&4
done`;
/** A shell tells a signal as 128 more than its number. */
const SIGNALLED = 128;

/** `sockets` become descriptors 6 and up of the process. Without a shell (Windows, an image with nothing but Node) it is our own child: no sockets, one start. */
export function runnerOf(
  command: readonly string[],
  env: Record<string, string | undefined>,
  sockets: readonly number[],
): Runner {
  return canHold() ? shellRunner(command, env, sockets) : directRunner(command, env);
}

/** Is there a shell that can hold sockets? */
export function canHold(): boolean {
  return process.platform !== 'win32' && existsSync(SHELL);
}

function shellRunner(
  command: readonly string[],
  env: Record<string, string | undefined>,
  sockets: readonly number[],
): Runner {
  const shell = spawn(SHELL, ['-c', SCRIPT, 'repoint-runtime', ...command], {
    env: env as NodeJS.ProcessEnv,
    stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe', ...sockets],
    // Its own process group: a Ctrl-C in the terminal is for the launcher, which drains before it ends the runtime.
    detached: true,
  });
  const [orders, life] = [shell.stdin!, (shell.stdio as unknown as Writable[])[5]!];
  for (const stream of [orders, life]) stream.on('error', () => {});
  const closed = closedOf(shell);
  let reported = '';
  const waiting: Array<{ pattern: RegExp; found: (value: number) => void }> = [];
  (shell.stdio[4] as Readable).on('data', (chunk: Buffer) => {
    reported += chunk.toString();
    for (const one of [...waiting]) {
      const match = one.pattern.exec(reported);
      if (!match) continue;
      reported = reported.replace(match[0], '');
      waiting.splice(waiting.indexOf(one), 1);
      one.found(Number(match[1]));
    }
  });
  const report = (pattern: RegExp): Promise<number> =>
    new Promise((found) => {
      waiting.push({ pattern, found });
    });
  let exit: Promise<Exit> = closed;
  return {
    output: [shell.stdout!, shell.stderr!],
    control: shell.stdio[3] as Readable,
    again: true,
    async start() {
      const started = report(/^pid (\d+)\n/m);
      const ended = report(/^end (\d+)\n/m).then(toExit);
      // The shell itself may be ended, or not start.
      exit = Promise.race([ended, closed]);
      orders.write('\n');
      const pid = await Promise.race([started, closed.then(() => null)]);
      if (pid === null) throw new Error(`${SHELL} could not be run`);
      return pid;
    },
    exited: () => exit,
    async close() {
      orders.end();
      await closed;
    },
  };
}

function toExit(code: number): Exit {
  const signal = Object.entries(os.constants.signals).find(([, number]) => number === code - SIGNALLED)?.[0];
  return signal === undefined ? { code, signal: null } : { code: null, signal: signal as NodeJS.Signals };
}

function directRunner(command: readonly string[], env: Record<string, string | undefined>): Runner {
  const [file, ...args] = command as [string, ...string[]];
  const child = spawn(file, args, {
    env: env as NodeJS.ProcessEnv,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    detached: true,
  });
  const closed = closedOf(child);
  return {
    output: [child.stdout!, child.stderr!],
    control: child.stdio[3] as Readable,
    again: false,
    start: () => (child.pid === undefined ? closed.then(() => never(file)) : Promise.resolve(child.pid)),
    exited: () => closed,
    close: () => closed.then(() => {}),
  };
}

function never(file: string): never {
  throw new Error(`${file} could not be run`);
}

/** 'close' comes after the output has been read to its end. */
function closedOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve) => {
    child.once('error', () => resolve({ code: null, signal: null }));
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
}

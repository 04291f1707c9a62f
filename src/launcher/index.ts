// Starts the server as a child process, for tests, benchmarks, the demo and the conformance suites.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { readLock } from './lock.ts';
import type { Mode } from './options.ts';
import { identify, isRunning, type ProcessIdentity } from './processes.ts';

export interface StartServerOptions {
  /** Default 0: a free one. A restart keeps the port. */
  port?: number;
  host?: string;
  /** Default: a fresh directory, removed by `stop()`. */
  dataDir?: string;
  mode?: Mode;
  /** Added to this process's environment; `undefined` removes a variable. */
  env?: Record<string, string | undefined>;
  /** A bundled module to run in place of the Worker. */
  worker?: string;
  /** Further flags of the command line. */
  args?: readonly string[];
  /** Receives the server's log (standard error); default: kept and shown only when a start fails. */
  onLog?: (text: string) => void;
}

export interface Server {
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  /** The process to signal. */
  readonly pid: number;
  /** The process that holds the data, for measuring. */
  readonly workerdPid: number;
  /** The last 64 KB of the server's log. */
  log(): string;
  /** Ends both processes at once, as a power cut would. Data stays. Resolves when they are gone. */
  kill9(): Promise<void>;
  /** Ends the server as an operator would, and removes the data directory if it was ours. Resolves with the exit code. */
  stop(): Promise<number | null>;
  /** Starts it again (after `kill9`, `stop` of a given directory, or while running, by SIGTERM) on the same port and data. */
  restart(): Promise<void>;
}

const BIN = fileURLToPath(new URL('../../bin/repoint.mjs', import.meta.url));
const READY = /^repoint ready on (\S+)$/m;
const START_DEADLINE_MS = 30_000;
const POLL_MS = 5;
const LOG_CHARS = 65_536;

/**
 * Starts a server and waits until it answers. It ends with this process, whatever way this process ends.
 * @throws Error with the server's own words when it does not start
 */
export async function startServer(options: StartServerOptions = {}): Promise<Server> {
  const ownsData = options.dataDir === undefined;
  const dataDir = path.resolve(options.dataDir ?? mkdtempSync(path.join(os.tmpdir(), 'repoint-')));
  let log = '';
  const onLog = (text: string): void => {
    log = (log + text).slice(-LOG_CHARS);
    options.onLog?.(text);
  };
  let current = await launch({ ...options, dataDir }, onLog);
  const { port, url } = current;
  /** The launcher may have begun it anew. */
  const runtimeOf = (launched: Launched): ProcessIdentity => readLock(dataDir)?.runtime ?? launched.runtime;

  return {
    url,
    port,
    dataDir,
    get pid() {
      return current.launcher.pid;
    },
    get workerdPid() {
      return runtimeOf(current).pid;
    },
    log: () => log,
    async kill9() {
      const runtime = runtimeOf(current);
      for (const one of [current.launcher, runtime]) signal(one, 'SIGKILL');
      await current.exited;
      await untilGone(runtime);
    },
    async stop() {
      signal(current.launcher, 'SIGTERM');
      const code = await current.exited;
      if (ownsData) rmSync(dataDir, { recursive: true, force: true });
      return code;
    },
    async restart() {
      signal(current.launcher, 'SIGTERM');
      await current.exited;
      current = await launch({ ...options, dataDir, port }, onLog);
    },
  };
}

interface Launched {
  url: string;
  port: number;
  launcher: ProcessIdentity;
  runtime: ProcessIdentity;
  exited: Promise<number | null>;
}

async function launch(
  options: StartServerOptions & { dataDir: string },
  onLog: (text: string) => void,
): Promise<Launched> {
  const args = [BIN, '--port', String(options.port ?? 0), '--data', options.dataDir, '--end-with-stdin'];
  if (options.host) args.push('--host', options.host);
  args.push('--mode', options.mode ?? 'dev');
  if (options.worker) args.push('--worker', options.worker);
  args.push(...(options.args ?? []));
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.on('error', () => {});
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-LOG_CHARS);
    onLog(chunk.toString());
  });
  const exited = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  const url = await readyUrl(child, exited, () => errors);
  const { runtime } = readLock(options.dataDir)!;
  return { url, port: Number(new URL(url).port), launcher: identify(child.pid!), runtime: runtime!, exited };
}

async function readyUrl(child: ChildProcess, exited: Promise<number | null>, errors: () => string): Promise<string> {
  return new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`the server was not ready after ${START_DEADLINE_MS / 1000} s\n${errors()}`));
    }, START_DEADLINE_MS);
    let output = '';
    child.stdout!.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-LOG_CHARS);
      const url = READY.exec(output)?.[1];
      if (url === undefined) return;
      clearTimeout(timer);
      resolve(url);
    });
    void exited.then((code) => {
      clearTimeout(timer);
      reject(new Error(`the server ended with code ${code} before it was ready\n${errors().trim()}`));
    });
  });
}

async function untilGone(process: ProcessIdentity): Promise<void> {
  while (isRunning(process)) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}

/** Signals this very process; one that has ended, or a later one with its pid, is left alone. */
function signal(target: ProcessIdentity, name: NodeJS.Signals): void {
  if (!isRunning(target)) return;
  try {
    process.kill(target.pid, name);
  } catch {
    // It has ended in the meantime.
  }
}

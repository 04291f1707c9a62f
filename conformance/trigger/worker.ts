import { spawn, type ChildProcess } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { endWithUs } from '../harness/end-with-us.ts';
import { until } from '../harness/index.ts';

export interface WorkerOptions {
  url: string;
  project: string;
  accessToken: string;
  /** Directory of an earlier session to start again in; default: a fresh copy of the project. */
  directory?: string;
  /** Folder of the project that is copied; default: the one of these tests. */
  source?: string;
  /** Names under which the CLI and the SDK of another release are installed; default: the newest. */
  release?: { cli: string; sdk: string };
}

/** `trigger dev`, unmodified, as a child process. */
export interface Worker {
  readonly pid: number;
  readonly directory: string;
  readonly project: string;
  output(): string;
  /** As an operator would, with its task processes. */
  stop(): Promise<void>;
  /** SIGKILL to the CLI and its task processes; `watchdog: false` also to the process that it leaves behind to report its death. */
  kill(options: { watchdog: boolean }): Promise<void>;
  /** Stops the CLI and its task processes where they are, or lets them go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
}

const PROJECT = fileURLToPath(new URL('./project', import.meta.url));
const WORK = fileURLToPath(new URL('./.work', import.meta.url));
const installed = (name: string): string =>
  path.dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
const NEWEST = { cli: 'trigger.dev', sdk: '@trigger.dev/sdk' };
export const CLI = path.join(installed(NEWEST.cli), 'dist/esm/index.js');
/** Tasks of what 4.0 does not have: streams, shared limits, heartbeats. */
const NEWER = new Set(['realtime.ts', 'limits.ts', 'surface.ts', 'reference.ts', 'documented.ts', 'init.ts']);
/** 4.8 says local, 4.0 background. */
const READY = /(?:Local|Background) worker ready/;
/** Bundling and indexing: about 16 s on two cores. */
const START_DEADLINE_MS = 90_000;
const STOP_DEADLINE_MS = 8_000;

const running = new Set<ChildProcess>();
const directories = new Set<string>();

// A run of the tests that ends by any way leaves nothing behind.
process.on('exit', () => {
  for (const child of running) signalGroup(child, 'SIGKILL');
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const release = options.release ?? NEWEST;
  const directory = options.directory ?? copyProject(release.sdk, options.source ?? PROJECT);
  const home = path.join(directory, '.home');
  mkdirSync(home, { recursive: true });
  let output = '';
  const cli = path.join(installed(release.cli), 'dist/esm/index.js');
  const quiet = release === NEWEST ? ['--skip-platform-notifications'] : [];
  const child = spawn(process.execPath, [cli, 'dev', '--skip-update-check', ...quiet], {
    cwd: directory,
    // A group of its own, so that its task processes can be ended with it.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: `${path.dirname(process.execPath)}${path.delimiter}${process.env.PATH ?? ''}`,
      HOME: home,
      XDG_CONFIG_HOME: path.join(home, '.config'),
      TRIGGER_API_URL: options.url,
      TRIGGER_ACCESS_TOKEN: options.accessToken,
      TRIGGER_TELEMETRY_DISABLED: '1',
      CONFORMANCE_PROJECT: options.project,
      TRIGGER_PROJECT_REF: options.project,
      NO_COLOR: '1',
    },
  });
  endWithUs(child, { group: true });
  running.add(child);
  child.once('exit', () => running.delete(child));
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => (output = (output + data.toString()).slice(-200_000)));
  const pid = child.pid as number;
  try {
    await until(() => child.exitCode !== null || READY.test(output), {
      what: 'the worker to be ready',
      timeoutMs: START_DEADLINE_MS,
      everyMs: 100,
    });
    if (child.exitCode !== null) throw new Error(`the CLI ended with ${child.exitCode}`);
  } catch (error) {
    signalGroup(child, 'SIGKILL');
    throw new Error(`the worker did not start: ${output}`, { cause: error });
  }
  return {
    pid,
    directory,
    project: options.project,
    output: () => output,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), STOP_DEADLINE_MS);
      await gone;
      clearTimeout(timer);
      signalGroup(child, 'SIGKILL');
      rmSync(directory, { recursive: true, force: true });
      directories.delete(directory);
    },
    signal: (signal) => signalGroup(child, signal),
    async kill({ watchdog }) {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      if (!watchdog) killWatchdog(directory);
      signalGroup(child, 'SIGKILL');
      await gone;
    },
  };
}

let lane: { url: string; worker: Promise<Worker> } | undefined;

/** The one worker that suites without a wish of their own share. */
export function laneWorker(options: WorkerOptions): Promise<Worker> {
  if (lane?.url !== options.url) lane = { url: options.url, worker: startWorker(options) };
  return lane.worker;
}

/** A fresh copy of a project, removed at the end. */
export function copyProject(sdk: string = NEWEST.sdk, project: string = PROJECT): string {
  mkdirSync(WORK, { recursive: true });
  const directory = mkdtempSync(path.join(WORK, 'session-'));
  directories.add(directory);
  cpSync(project, directory, {
    recursive: true,
    filter: (source) =>
      !source.includes('.trigger') &&
      !source.includes('node_modules') &&
      (sdk === NEWEST.sdk || !NEWER.has(path.basename(source))),
  });
  if (sdk !== NEWEST.sdk) {
    // The project's own imports find that release.
    mkdirSync(path.join(directory, 'node_modules', '@trigger.dev'), { recursive: true });
    symlinkSync(installed(sdk), path.join(directory, 'node_modules', '@trigger.dev', 'sdk'));
  }
  return directory;
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-(child.pid as number), signal);
  } catch {
    // Nobody of the group is left.
  }
}

/** It runs in a session of its own; its pid file says which process it is. */
function killWatchdog(directory: string): void {
  const text = readFileSync(path.join(directory, '.trigger', 'watchdog.pid'), 'utf8');
  const pid = Number(/^trigger-watchdog:(\d+)$/.exec(text.trim())?.[1]);
  if (!(pid > 1)) throw new Error(`no watchdog in "${text}"`);
  process.kill(pid, 'SIGKILL');
}

import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from '../harness/index.ts';
import type { SuiteContext } from '../harness/context.ts';
import { endWithUs } from '../harness/end-with-us.ts';
import type { RunView } from './apps.ts';

const run = promisify(execFile);
const HERE = path.dirname(fileURLToPath(import.meta.url));
/** What is built or installed once and used again; not under version control. */
const CACHE = path.resolve(HERE, '../../.cache');
const READY_DEADLINE_MS = 20_000;
/** Time for an app to end by itself. */
const GRACE_MS = 5_000;

/** An SDK of another language, and the program in it that serves the functions of the cases. */
export interface Language {
  label: string;
  sdk: string;
  /** Why its cases cannot run here, or undefined. */
  missing: string | undefined;
  /** Installs or builds the program, or finds that this was done before. Returns the command that starts it. */
  prepare(): Promise<string[]>;
  /** What the program is told beside what every program is told. */
  env?: Record<string, string>;
  /** Only the cases that a framework could make fail. */
  brief?: boolean;
  /** With checkpointing: a retried step is returned at once, and the next ones run in another request. */
  endsRequestAfterRetry?: boolean;
  /** Why its failure handlers cannot be tried. */
  refusesFailureEvents?: true;
  /** Connect: it gives up when its connection breaks off without a close frame. */
  endsWithItsConnection?: boolean;
  /** Connect: a reply that was made between two connections is never sent. */
  losesReplies?: boolean;
}

const PYTHON_APP = path.join(HERE, 'python-app');
const GO_APP = path.join(HERE, 'go-app');
const NODE_APP = path.join(HERE, 'node-app', 'main.ts');

const python: Language = {
  label: 'Python',
  sdk: 'inngest (Python) 0.5.19',
  missing: answers('python3', ['-c', 'import ensurepip, venv']) ? undefined : 'python3 with venv and pip is not here',
  async prepare() {
    const requirements = path.join(PYTHON_APP, 'requirements.txt');
    const digest = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12);
    const venv = path.join(CACHE, `python-${digest}`);
    const interpreter = path.join(venv, 'bin', 'python');
    const done = path.join(venv, 'installed');
    if (!existsSync(done)) {
      await run('python3', ['-m', 'venv', '--clear', venv]);
      await run(interpreter, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements]);
      writeFileSync(done, '');
    }
    return [interpreter, '-u', path.join(PYTHON_APP, 'main.py')];
  },
};

const go: Language = {
  label: 'Go',
  sdk: 'inngestgo 0.16.0',
  missing: answers('go', ['version']) ? undefined : 'go is not here',
  async prepare() {
    const program = path.join(CACHE, 'go-app');
    await run('go', ['build', '-o', program, '.'], { cwd: GO_APP });
    return [program];
  },
};

/** A version of the TypeScript SDK in a framework. */
function typescript(sdk: string, framework: string, brief = false): Language {
  return {
    brief,
    endsRequestAfterRetry: sdk === 'inngest 4.24.0',
    ...(sdk === 'inngest 4.0.0' && { refusesFailureEvents: true as const }),
    label: `TypeScript, ${framework}`,
    sdk,
    missing: undefined,
    prepare: () => Promise.resolve([process.execPath, NODE_APP]),
    env: { APP_SDK: sdk, APP_FRAMEWORK: framework },
  };
}

export const LANGUAGES: readonly Language[] = [
  python,
  go,
  // The oldest of each major that still installs; the newest, in each framework.
  typescript('inngest 3.30.0', 'express'),
  typescript('inngest 4.0.0', 'express'),
  typescript('inngest 4.24.0', 'node'),
  typescript('inngest 3.30.0', 'node', true),
  typescript('inngest 3.54.2', 'next', true),
  typescript('inngest 3.54.2', 'hono', true),
  typescript('inngest 4.24.0', 'hono', true),
  typescript('inngest 4.24.0', 'express', true),
  typescript('inngest 4.24.0', 'next', true),
];

function answers(command: string, args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

export interface ProgramOptions {
  /** Base URL of the server. */
  server: string;
  id: string;
  /** Prefix of the names of all its events. */
  events: string;
  /** Cloud mode. */
  keys?: { eventKey: string; signingKey: string };
  /** Branch environment that it names. */
  branch?: string;
  /** Further variables. */
  env?: Record<string, string>;
}

/** A running program of another language. */
export class Program {
  #child: ChildProcess;
  #exit: Promise<unknown>;
  #options: ProgramOptions;
  #log: () => string;
  readonly port: number;

  constructor(child: ChildProcess, port: number, options: ProgramOptions, log: () => string) {
    this.#child = child;
    this.#exit = once(child, 'exit');
    this.port = port;
    this.#options = options;
    this.#log = log;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Asks the app to register itself. */
  async sync(): Promise<void> {
    const response = await fetch(`${this.url}/api/inngest`, { method: 'PUT' });
    const text = await response.text();
    // The Python SDK passes a refusal on with the status 200.
    if (response.status !== 200 || /"status":\s*[45]\d\d/.test(text))
      throw new Error(`not registered: ${response.status} ${text}\n${this.#log()}`);
  }

  /** Sends an event with the SDK's own client. Returns its id. */
  async send(name: string, data: Record<string, unknown> = {}, id?: string): Promise<string> {
    const body = JSON.stringify({ name: this.#options.events + name, data, ...(id === undefined ? {} : { id }) });
    const response = await fetch(`${this.url}/send`, { method: 'POST', body });
    const text = await response.text();
    expect.equal(response.status, 200, `${text}\n${this.#log()}`);
    return (JSON.parse(text) as string[])[0] ?? '';
  }

  /** What its functions have noted so far. */
  async ran(): Promise<string[]> {
    return (await (await fetch(`${this.url}/log`)).json()) as string[];
  }

  async state(): Promise<string> {
    return (await (await fetch(`${this.url}/state`)).json()) as string;
  }

  async runsOf(eventId: string, server = this.#options.server): Promise<RunView[]> {
    const { keys, branch } = this.#options;
    const headers = {
      authorization: `Bearer ${keys?.signingKey ?? 'none'}`,
      ...(branch === undefined ? {} : { 'x-inngest-env': branch }),
    };
    const response = await fetch(new URL(`/v1/events/${eventId}/runs`, server), { headers });
    expect.equal(response.status, 200, await response.clone().text());
    return ((await response.json()) as { data: RunView[] }).data;
  }

  log(): string {
    return this.#log();
  }

  /** As an operator ends it. Resolves when the process is gone. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), GRACE_MS);
    await this.#exit;
    clearTimeout(timer);
  }

  /** Tells it to end, without waiting for that. */
  terminate(): void {
    this.#child.kill('SIGTERM');
  }

  /** Ends it at once. */
  async kill9(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exit;
  }
}

/** Starts the program and waits until it listens. It ends with the case. */
export async function startProgram(
  context: SuiteContext,
  command: readonly string[],
  options: ProgramOptions,
): Promise<Program> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(INNGEST|APP)_/.test(name));
  const { server, keys, branch } = options;
  const connection = keys
    ? { INNGEST_BASE_URL: server, INNGEST_EVENT_KEY: keys.eventKey, INNGEST_SIGNING_KEY: keys.signingKey }
    : { INNGEST_DEV: server };
  // Version 3 takes a process without NODE_ENV for development, unless it is told.
  const mode = keys && (options.env?.['APP_SDK'] ?? '').startsWith('inngest 3') ? { INNGEST_DEV: '0' } : {};
  const named = branch === undefined ? {} : { INNGEST_ENV: branch };
  const [file = '', ...args] = command;
  const env = {
    ...Object.fromEntries(inherited),
    ...connection,
    ...mode,
    ...named,
    APP_ID: options.id,
    APP_EVENTS: options.events,
  };
  const child = spawn(file, args, { env: { ...env, ...options.env }, stdio: ['ignore', 'pipe', 'pipe'] });
  endWithUs(child);
  let log = '';
  let head = '';
  child.stderr.on('data', (chunk: Buffer) => void (log = (log + chunk.toString()).slice(-20_000)));
  const ended = new Promise<never>((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the app ended with code ${code}:\n${log}`)));
  });
  ended.catch(() => {});
  const port = await Promise.race([
    ended,
    new Promise<number>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the app did not start:\n${log}`)), READY_DEADLINE_MS);
      child.stdout.on('data', (chunk: Buffer) => {
        head += chunk.toString();
        const found = /\{"port":\s*(\d+)\}/.exec(head);
        if (!found) return;
        clearTimeout(timer);
        resolve(Number(found[1]));
      });
    }),
  ]).catch((error: unknown) => {
    child.kill('SIGKILL');
    throw error;
  });
  const program = new Program(child, port, options, () => log);
  context.onCleanup(() => program.stop());
  return program;
}

/** Those that also hold connections (Connect). */
export const WORKERS: readonly Language[] = [
  { ...typescript('inngest 4.24.0', 'node'), label: 'TypeScript 4' },
  { ...typescript('inngest 3.54.2', 'next'), label: 'TypeScript 3', losesReplies: true },
  { ...go, endsWithItsConnection: true },
  python,
];

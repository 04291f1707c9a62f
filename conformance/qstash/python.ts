import { execFile, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { SuiteContext } from '../harness/context.ts';

const run = promisify(execFile);
const APP = path.join(path.dirname(fileURLToPath(import.meta.url)), 'python-app');
/** What is installed once and used again; not under version control. */
const CACHE = path.resolve(APP, '../../../.cache');

/** Why the Python lane cannot run here, or undefined. */
export const PYTHON_MISSING =
  spawnSync('python3', ['-c', 'import ensurepip, venv'], { stdio: 'ignore' }).status === 0
    ? undefined
    : 'python3 with venv and pip is not here';

/** Installs the pinned clients, or finds that this was done before. Returns the interpreter. */
export async function preparePython(): Promise<string> {
  const requirements = path.join(APP, 'requirements.txt');
  const digest = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12);
  const venv = path.join(CACHE, `python-qstash-${digest}`);
  const interpreter = path.join(venv, 'bin', 'python');
  const done = path.join(venv, 'installed');
  if (!existsSync(done)) {
    await run('python3', ['-m', 'venv', '--clear', venv]);
    await run(interpreter, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements]);
    writeFileSync(done, '');
  }
  return interpreter;
}

export interface Seen {
  ran: string[];
  failures: unknown[];
  received: string[];
}

/** The program that uses the Python clients. */
export class PythonApp {
  readonly url: string;
  constructor(url: string) {
    this.url = url;
  }

  /** Calls a method of the client, by name; rejects with the exception's name and text. */
  async call<T = unknown>(method: string, args: Record<string, unknown> = {}): Promise<T> {
    const response = await fetch(`${this.url}/client`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ call: method, args }),
    });
    const answer = (await response.json()) as { result?: T; error?: string; message?: string };
    if (answer.error !== undefined) throw new Error(`${answer.error}: ${answer.message}`);
    return answer.result as T;
  }

  async seen(): Promise<Seen> {
    return (await (await fetch(`${this.url}/seen`)).json()) as Seen;
  }
}

/** `main.py`: the client that blocks, Flask. `async_main.py`: the one of asyncio, FastAPI. */
export type PythonProgram = 'main.py' | 'async_main.py';

/** Starts it; it ends with its input, so also with this process. */
export async function startPython(
  context: SuiteContext,
  interpreter: string,
  program: PythonProgram,
): Promise<PythonApp> {
  const { environment } = context;
  const child = spawn(interpreter, ['-u', path.join(APP, program)], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      QSTASH_URL: context.url,
      QSTASH_TOKEN: environment.qstashToken,
      QSTASH_CURRENT_SIGNING_KEY: environment.qstashCurrentSigningKey,
      QSTASH_NEXT_SIGNING_KEY: environment.qstashNextSigningKey,
    },
  });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-4_000)));
  const gone = once(child, 'exit');
  context.onCleanup(async () => {
    child.stdin.end();
    await gone;
  });
  for await (const line of createInterface({ input: child.stdout })) {
    child.stdout.resume();
    return new PythonApp((JSON.parse(line) as { url: string }).url);
  }
  throw new Error(`the Python program did not start: ${errors}`);
}

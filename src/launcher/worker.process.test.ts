import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { identify, isRunning, type ProcessIdentity } from './processes.ts';

// `repoint worker` with controllers that do what the vendor's do to processes: fork a task process, and end the run they have before they end.

const BIN = fileURLToPath(new URL('../../bin/repoint.mjs', import.meta.url));
const TASK = `process.on('disconnect', () => {}); setInterval(() => {}, 1_000);`;
const CONTROLLER = `
import { fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
const child = fork(new URL('./task.mjs', import.meta.url), [], { execArgv: [], stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
writeFileSync(process.env.TRIGGER_RUNNER_ID.replace(/.*_/, 'pids-'), JSON.stringify([process.pid, child.pid, process.argv.length]));
setInterval(() => console.log('a line of a task'), 20);
process.on('SIGTERM', () => setTimeout(() => {
  writeFileSync(process.env.TRIGGER_RUNNER_ID.replace(/.*_/, 'ended-'), '');
  process.exit(0);
}, 300));
`;

let folder: string;
let server: Server;
let worker: ChildProcess | undefined;

beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'repoint-worker-'));
  const build = path.join(folder, 'build');
  mkdirSync(build);
  const files = {
    'package.json': '{"type":"module"}',
    'index.mjs': `console.log('Background worker created');`,
    'controller.mjs': CONTROLLER,
    'task.mjs': TASK,
    'build.json': JSON.stringify({
      contentHash: 'abc',
      config: { project: 'proj_test' },
      indexControllerEntryPoint: '/app/index.mjs',
      runControllerEntryPoint: '/app/controller.mjs',
    }),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(build, name), text);
  server = createServer((_request, response) => response.end('{"id":"deployment_x","version":"20260101.1"}'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(() => void worker?.kill('SIGKILL'));
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

const inWork = (name: string): string => path.join(folder, 'work', 'abc', name);

/** Identities of a controller and its task process. */
async function started(): Promise<ProcessIdentity[]> {
  rmSync(inWork('pids-0'), { force: true });
  rmSync(inWork('ended-0'), { force: true });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  worker = spawn(
    process.execPath,
    [
      BIN,
      'worker',
      '--build',
      path.join(folder, 'build'),
      '--url',
      url,
      '--work',
      path.join(folder, 'work'),
      '--processes',
      '1',
    ],
    { env: { PATH: process.env.PATH, TRIGGER_SECRET_KEY: 'tr_prod_x' }, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  await until(() => existsSync(inWork('pids-0')) && readFileSync(inWork('pids-0'), 'utf8') !== '');
  const [controller, task, arguments_] = JSON.parse(readFileSync(inWork('pids-0'), 'utf8')) as [number, number, number];
  expect(arguments_, 'the controller sees the arguments that it would see by itself').toBe(2);
  return [controller, task].map(identify);
}

async function until(condition: () => boolean): Promise<void> {
  await expect.poll(condition, { timeout: 15_000, interval: 25 }).toBe(true);
}

it('a worker that is killed takes its controllers and their task processes with it, which end their run before', async () => {
  const processes = await started();
  worker?.kill('SIGKILL');
  await until(() => !processes.some(isRunning));
  expect(existsSync(inWork('ended-0'))).toBe(true);
});

it('a worker that is told to end lets its controllers end their run, and leaves no process', async () => {
  const processes = await started();
  worker?.kill('SIGTERM');
  const code = await new Promise((resolve) => worker?.once('exit', resolve));
  expect(code).toBe(0);
  expect(existsSync(inWork('ended-0'))).toBe(true);
  await until(() => !processes.some(isRunning));
});

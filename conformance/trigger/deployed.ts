import { spawn, type ChildProcess } from 'node:child_process';
import { globSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { endWithUs } from '../harness/end-with-us.ts';
import { until } from '../harness/index.ts';
import { CLI, copyProject } from './worker.ts';

const BIN = fileURLToPath(new URL('../../bin/repoint.mjs', import.meta.url));
const READY = 'repoint worker ready';
const BUILD_DEADLINE_MS = 90_000;
const READY_DEADLINE_MS = 60_000;

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Builds the project as the vendor's CLI does for a deployment, and deploys nothing. `edit` may change its sources first. */
export async function buildProject(options: {
  url: string;
  project: string;
  accessToken: string;
  edit?: (directory: string) => void;
}): Promise<string> {
  const directory = copyProject();
  options.edit?.(directory);
  const home = path.join(directory, '.home');
  mkdirSync(home, { recursive: true });
  let output = '';
  const args = [CLI, 'deploy', '--dry-run', '--skip-update-check', '--skip-sync-env-vars'];
  const child = spawn(process.execPath, args, {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: `${path.dirname(process.execPath)}${path.delimiter}${process.env.PATH ?? ''}`,
      HOME: home,
      CI: '1',
      TRIGGER_API_URL: options.url,
      TRIGGER_ACCESS_TOKEN: options.accessToken,
      TRIGGER_TELEMETRY_DISABLED: '1',
      CONFORMANCE_PROJECT: options.project,
    },
  });
  running.add(child);
  endWithUs(child);
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (output += data.toString()));
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const timer = setTimeout(() => child.kill('SIGKILL'), BUILD_DEADLINE_MS);
  await ended;
  clearTimeout(timer);
  running.delete(child);
  const [build] = globSync(path.join(directory, '.trigger/tmp/build-*'));
  if (build === undefined) throw new Error(`nothing was built: ${output}`);
  return build;
}

export interface DeployedWorker {
  /** A line that the tasks, or `repoint worker` itself, have printed. */
  output(): string;
  /** As an operator would. Resolves with the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL to `repoint worker` alone. */
  kill(): Promise<void>;
}

/** `repoint worker` on a build. */
export async function startDeployed(options: {
  url: string;
  build: string;
  secretKey: string;
  processes: number;
}): Promise<DeployedWorker> {
  let output = '';
  const child = spawn(
    BIN,
    ['worker', '--build', options.build, '--url', options.url, '--processes', String(options.processes)],
    {
      cwd: path.dirname(options.build),
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: `${path.dirname(process.execPath)}${path.delimiter}${process.env.PATH ?? ''}`,
        HOME: path.dirname(options.build),
        TRIGGER_SECRET_KEY: options.secretKey,
      },
    },
  );
  running.add(child);
  endWithUs(child);
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => (output = (output + data.toString()).slice(-100_000)));
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  void ended.then(() => running.delete(child));
  await until(() => child.exitCode !== null || output.includes(READY), {
    what: 'repoint worker to be ready',
    timeoutMs: READY_DEADLINE_MS,
    everyMs: 100,
  });
  if (child.exitCode !== null) throw new Error(`repoint worker ended with ${child.exitCode}: ${output}`);
  return {
    output: () => output,
    stop() {
      child.kill('SIGTERM');
      return ended;
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

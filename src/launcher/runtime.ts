// The runtime process: `workerd serve` from the installed package, its listening port, its end, and a watchdog for our own.
import { spawn, type ChildProcess } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { explainRuntimeOutput } from './diagnose.ts';
import { StartError } from './errors.ts';

export interface Runtime {
  pid: number;
  /** The port it listens on. */
  port: number;
  /** Resolves when the process has ended, with the reason in words. */
  ended: Promise<string>;
  /** Asks it to finish open requests and end; forces it after `graceMs`. Resolves when it is gone. */
  end(graceMs: number): Promise<void>;
}

export interface RuntimeOptions {
  configFile: string;
  env: Record<string, string | undefined>;
  /** Receives the runtime's output, line by line as it comes. */
  log: (chunk: Buffer) => void;
}

/** Enough of the last output to explain an end. */
const TAIL_BYTES = 16_384;
const LISTEN_DEADLINE_MS = 15_000;

const PLATFORM_PACKAGES: Record<string, string> = {
  'darwin arm64': '@cloudflare/workerd-darwin-arm64',
  'darwin x64': '@cloudflare/workerd-darwin-64',
  'linux arm64': '@cloudflare/workerd-linux-arm64',
  'linux x64': '@cloudflare/workerd-linux-64',
  'win32 x64': '@cloudflare/workerd-windows-64',
};

/**
 * The runtime's binary, from the package `workerd` and never from PATH, so that it is the release that was tested.
 * @throws StartError when it is not installed
 */
export function resolveBinary(packageRoot: string): string {
  const platform = `${process.platform} ${process.arch}`;
  const name = PLATFORM_PACKAGES[platform];
  if (!name) throw new StartError(`the runtime (workerd) has no build for ${platform}`);
  try {
    const workerd = createRequire(path.join(packageRoot, 'package.json')).resolve('workerd/package.json');
    const suffix = process.platform === 'win32' ? '.exe' : '';
    return createRequire(workerd).resolve(`${name}/bin/workerd${suffix}`);
  } catch {
    throw new StartError(`the runtime (package ${name}) is not installed. Run npm ci, without --omit=optional.`);
  }
}

/** @throws StartError with an explained reason when it does not come to listen */
export async function startRuntime(binary: string, options: RuntimeOptions): Promise<Runtime> {
  const child = spawn(binary, ['serve', '--experimental', '--control-fd=3', options.configFile, 'config'], {
    env: options.env as NodeJS.ProcessEnv,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    // Its own process group: a Ctrl-C in the terminal is for the launcher, which drains before it ends the runtime.
    detached: true,
  });
  let tail = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream!.on('data', (chunk: Buffer) => {
      tail = (tail + chunk.toString()).slice(-TAIL_BYTES);
      options.log(chunk);
    });
  }
  const watchdog = startWatchdog(child.pid);
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`the runtime could not be started: ${error.message}`));
    // 'close' comes after the output has been read to its end, so the explanation sees all of it.
    child.once('close', (code, signal) => resolve(explainRuntimeOutput(tail, code, signal)));
  }).finally(() => watchdog?.kill('SIGKILL'));
  const port = await listeningPort(child, ended);
  return { pid: child.pid!, port, ended, end: (graceMs) => end(child, ended, graceMs) };
}

/**
 * The runtime does not notice that its parent is gone. A shell waits on a pipe that only we hold open, and ends the runtime
 * when it closes, however we died. Where there is no shell, the next start on the directory ends the orphan.
 */
function startWatchdog(pid: number | undefined): ChildProcess | undefined {
  if (pid === undefined || process.platform === 'win32') return undefined;
  const script = 'read -r _; kill -9 "$1" 2>/dev/null';
  const watchdog = spawn('/bin/sh', ['-c', script, 'repoint-watchdog', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watchdog.on('error', () => {});
  watchdog.stdin!.on('error', () => {});
  watchdog.unref();
  return watchdog;
}

async function listeningPort(child: ChildProcess, ended: Promise<string>): Promise<number> {
  const control = child.stdio[3] as Readable;
  const announced = new Promise<number>((resolve) => {
    let text = '';
    control.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      for (const line of text.split('\n').slice(0, -1)) {
        const message = JSON.parse(line) as { event: string; socket?: string; port?: number };
        if (message.event === 'listen' && message.socket === 'http' && message.port) resolve(message.port);
      }
      text = text.slice(text.lastIndexOf('\n') + 1);
    });
  });
  const failed = ended.then((reason) => {
    throw new StartError(reason);
  });
  failed.catch(() => {});
  return withDeadline(Promise.race([announced, failed]), LISTEN_DEADLINE_MS, () => {
    child.kill('SIGKILL');
    return new StartError(`the runtime did not come to listen within ${LISTEN_DEADLINE_MS / 1000} s`);
  });
}

async function end(child: ChildProcess, ended: Promise<string>, graceMs: number): Promise<void> {
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await ended;
  clearTimeout(force);
}

async function withDeadline<T>(work: Promise<T>, ms: number, onTimeout: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(onTimeout()), ms);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

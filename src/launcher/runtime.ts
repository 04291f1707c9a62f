// The runtime: `workerd serve` from the installed package, where it listens, its end, and its beginning anew.
import { createRequire } from 'node:module';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { explainRuntimeOutput } from './diagnose.ts';
import { StartError } from './errors.ts';
import { openSocket, type ListeningSocket } from './listen.ts';
import { canHold, FIRST_SOCKET, runnerOf } from './runner.ts';

export interface Runtime {
  /** Of the process that runs now. */
  readonly pid: number;
  /** The port it listens on. */
  readonly port: number;
  /** Resolves when the process has ended and no other follows, with the reason in words. */
  ended: Promise<string>;
  /** Asks it to finish open requests and end; forces it after `graceMs`. Resolves when it is gone. */
  end(graceMs: number): Promise<void>;
  /**
   * Ends the process likewise and starts another on the same sockets: who connects meanwhile waits and is answered. Null where the sockets are the
   * runtime's own (no shell to hold them, a host by name). Rejects with StartError when the other does not come to listen; then it has ended.
   */
  renew: ((graceMs: number) => Promise<void>) | null;
}

export interface RuntimeOptions {
  configFile: string;
  /** What the configuration's sockets listen on. */
  listen: ReadonlyArray<{ name: string; host: string; port: number }>;
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

/**
 * Starts the runtime and waits until it listens.
 * @throws StartError with an explained reason when it does not come to that
 */
export async function startRuntime(binary: string, options: RuntimeOptions): Promise<Runtime> {
  const sockets = await openSockets(options.listen);
  const descriptors = sockets.map(({ name }, i) => `--socket-fd=${name}=${FIRST_SOCKET + i}`);
  const command = [binary, 'serve', '--experimental', '--control-fd=3', ...descriptors, options.configFile, 'config'];
  const runner = runnerOf(
    command,
    options.env,
    sockets.map(({ fd }) => fd),
  );
  for (const socket of sockets) socket.release();
  let tail = '';
  for (const stream of runner.output)
    stream.on('data', (chunk: Buffer) => {
      tail = (tail + chunk.toString()).slice(-TAIL_BYTES);
      options.log(chunk);
    });
  const listening = portsOf(runner.control);
  let pid = 0;
  let alive = false;
  let ending = false;
  let port = 0;
  /** The end of the process is the end of the runtime, unless another is to follow. */
  let last = true;
  let over: (reason: string) => void;
  const ended = new Promise<string>((resolve) => {
    over = resolve;
  });

  const signal = (name: NodeJS.Signals): void => {
    if (alive) kill(pid, name);
  };
  const begin = async (): Promise<void> => {
    const listens = listening();
    try {
      pid = await runner.start();
      alive = true;
      if (ending) signal('SIGTERM');
    } catch (error) {
      const reason = `the runtime could not be started: ${(error as Error).message}`;
      over(reason);
      throw new StartError(reason);
    }
    void runner.exited().then(async (exit) => {
      alive = false;
      if (!last) return;
      await runner.close();
      over(explainRuntimeOutput(tail, exit.code, exit.signal));
    });
    const failed = ended.then((reason) => {
      throw new StartError(reason);
    });
    failed.catch(() => {});
    port = await withDeadline(Promise.race([listens, failed]), LISTEN_DEADLINE_MS, () => {
      signal('SIGKILL');
      return new StartError(`the runtime did not come to listen within ${LISTEN_DEADLINE_MS / 1000} s`);
    });
  };
  const endProcess = async (graceMs: number): Promise<void> => {
    const exited = runner.exited();
    signal('SIGTERM');
    const force = setTimeout(() => signal('SIGKILL'), graceMs);
    await exited;
    clearTimeout(force);
  };

  await begin();
  return {
    get pid() {
      return pid;
    },
    get port() {
      return port;
    },
    ended,
    async end(graceMs) {
      ending = last = true;
      await endProcess(graceMs);
      await ended;
    },
    renew:
      runner.again && sockets.length > 0
        ? async (graceMs) => {
            last = false;
            await endProcess(graceMs);
            // Then the process was the last after all.
            if (ending) {
              await runner.close();
              over('ended');
              return;
            }
            last = true;
            await begin();
          }
        : null,
  };
}

/** All of them or none: the runtime opens what it is not given. */
async function openSockets(listen: RuntimeOptions['listen']): Promise<ListeningSocket[]> {
  if (!canHold()) return [];
  const sockets: ListeningSocket[] = [];
  try {
    for (const { name, host, port } of listen) {
      const socket = await openSocket(name, host, port);
      if (socket) sockets.push(socket);
    }
  } catch (error) {
    for (const socket of sockets) socket.release();
    throw new StartError(`cannot listen: ${(error as Error).message}. Choose another address with --host or --port.`);
  }
  return sockets;
}

/** Each call waits for the port of the next start. Source: workerd, `--control-fd`. */
function portsOf(control: Readable): () => Promise<number> {
  let text = '';
  let resolve: (port: number) => void = () => {};
  control.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    for (const line of text.split('\n').slice(0, -1)) {
      if (line === '') continue;
      const message = JSON.parse(line) as { event: string; socket?: string; port?: number };
      if (message.event === 'listen' && message.socket === 'http' && message.port) resolve(message.port);
    }
    text = text.slice(text.lastIndexOf('\n') + 1);
  });
  return () =>
    new Promise((next) => {
      resolve = next;
    });
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended in the meantime.
  }
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

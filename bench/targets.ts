import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { stablePort } from '../conformance/harness/port.ts';
import { startServer } from '../src/launcher/index.ts';
import { resolveBinary } from '../src/launcher/runtime.ts';

/** Something to measure: a URL and the processes that it costs. */
export interface Target {
  name: string;
  url: string;
  /** Roots of the process trees to count. */
  pids: number[];
  dataDir?: string;
  startMs: number;
  /** Ends and starts it again on the same data. */
  restart?: () => Promise<void>;
  stop(): Promise<void>;
}

export type TargetName = 'repoint' | 'null' | 'raw object';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const READY_MS = 15_000;
const running = new Set<Target>();

/** Ends what a phase that failed has left. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running].map((target) => target.stop()));
}

/** The target, known to `stopAll` until it is stopped. Stopping it twice is harmless. */
function track(target: Target): Target {
  const stop = target.stop.bind(target);
  let stopped: Promise<void> | null = null;
  target.stop = () => {
    running.delete(target);
    return (stopped ??= stop());
  };
  running.add(target);
  return target;
}

export async function startRepoint(): Promise<Target> {
  const startedAt = performance.now();
  const server = await startServer({ mode: 'dev', port: await stablePort() });
  const startMs = performance.now() - startedAt;
  return track({
    name: 'repoint',
    url: server.url,
    get pids() {
      return [server.pid];
    },
    dataDir: server.dataDir,
    startMs,
    restart: () => server.restart(),
    stop: async () => void (await server.stop()),
  });
}

/** A server of a few lines that keeps nothing: what the app and its SDK can do at most. */
export async function startNull(vendor: 'inngest' | 'qstash' | 'trigger'): Promise<Target> {
  const script = path.join(HERE, `null-${vendor}.ts`);
  return track(await startProcess('null', process.execPath, [script], /null server on (\S+)/));
}

/** One object of the platform with one insert per request, launched as the server is: what the platform can do at most. */
export async function startRawObject(): Promise<Target> {
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'repoint-raw-'));
  const dataDir = path.join(scratch, 'data');
  mkdirSync(dataDir);
  writeFileSync(path.join(scratch, 'worker.js'), readFileSync(path.join(HERE, 'raw-object/worker.js')));
  const config = path.join(scratch, 'config.capnp');
  writeFileSync(config, rawConfig(dataDir));
  const binary = resolveBinary(path.join(HERE, '..'));
  const args = ['serve', '--experimental', '--control-fd=1', config];
  const target = await startProcess('raw object', binary, args, /"event":"listen".*?"port":(\d+)/);
  return track({
    ...target,
    url: `http://127.0.0.1:${target.url}`,
    dataDir,
    async stop() {
      await target.stop();
      rmSync(scratch, { recursive: true, force: true });
    },
  });
}

function rawConfig(dataDir: string): string {
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "data", disk = (path = ${JSON.stringify(dataDir)}, writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [(name = "worker", esModule = embed "worker.js")],
  compatibilityDate = "2026-10-01",
  durableObjectNamespaces = [(className = "RawObject", uniqueKey = "raw", enableSql = true)],
  durableObjectStorage = (localDisk = "data"),
  bindings = [(name = "RAW", durableObjectNamespace = "RawObject")],
);
`;
}

function startProcess(name: string, command: string, args: string[], ready: RegExp): Promise<Target> {
  const startedAt = performance.now();
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  let output = '';
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${name} was not ready after ${READY_MS} ms:\n${output}`));
    }, READY_MS);
    void closed.then(() => {
      clearTimeout(timer);
      reject(new Error(`${name} ended:\n${output}`));
    });
    child.stderr.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      const url = ready.exec(output)?.[1];
      if (url === undefined) return;
      clearTimeout(timer);
      resolve({
        name,
        url,
        pids: [child.pid!],
        startMs: performance.now() - startedAt,
        async stop() {
          child.kill('SIGTERM');
          const timeout = setTimeout(() => child.kill('SIGKILL'), 3_000);
          await closed;
          clearTimeout(timeout);
        },
      });
    });
  });
}

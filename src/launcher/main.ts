// `repoint`: checks what can be checked, starts the runtime, waits until it answers, and ends it cleanly.
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { AtRest, LOOK_EVERY_MS } from './at-rest.ts';
import { knownProblem } from './diagnose.ts';
import { StartError } from './errors.ts';
import { requestStatus } from './http.ts';
import { environmentFile, KEYS_USAGE, parseKeysOptions } from './keys.ts';
import { acquireLock, type Lock } from './lock.ts';
import { parseOptions, USAGE, UsageError, type Options } from './options.ts';
import { checkContents, checkDatabases, checkPort, prepareDataDir } from './preflight.ts';
import { identify, sightOf } from './processes.ts';
import { QUEUES } from './queues.ts';
import { readyMessage } from './ready-message.ts';
import { passedVariables, renderConfig } from './runtime-config.ts';
import { parseWorkerOptions, runWorker, WORKER_USAGE } from './worker.ts';
import { resolveBinary, startRuntime, type Runtime } from './runtime.ts';
import { pollApps } from './sdk-urls.ts';

export interface MainInput {
  argv: readonly string[];
  env: Record<string, string | undefined>;
  packageRoot: string;
  /** The launcher target's bundles by name. */
  outputs: Record<string, string>;
  ensureBuilt: (target: string) => Record<string, string>;
}

const HEALTH_DEADLINE_MS = 10_000;
const HEALTH_POLL_MS = 10;
/** How long in-flight requests get on SIGTERM, together with what the runtime then still has open. */
const DRAIN_MS = 5_000;
const END_GRACE_MS = 2_000;
/** When nothing is under way any more: for the last bytes of answers, and for sockets that were told to close. */
const IDLE_GRACE_MS = 600;

/** Runs the program; resolves when the server is up. The process ends by itself with the right exit code. */
export async function main(input: MainInput): Promise<void> {
  const startedAt = performance.now();
  const version = readVersion(input.packageRoot);
  try {
    if (input.argv[0] === 'worker') {
      process.exitCode = await work(input);
      return;
    }
    if (input.argv[0] === 'keys') {
      const options = parseKeysOptions(input.argv.slice(1), input.env);
      process.stdout.write(options ? await environmentFile(options) : KEYS_USAGE);
      return;
    }
    const command = parseOptions(input.argv, input.env);
    if (command.kind === 'help') process.stdout.write(USAGE);
    else if (command.kind === 'version') process.stdout.write(`${version}\n`);
    else await serve(command.options, input, version, startedAt);
  } catch (error) {
    if (!(error instanceof UsageError) && !(error instanceof StartError)) throw error;
    process.stderr.write(`repoint: ${error.message}\n`);
    process.exit(error instanceof UsageError ? 2 : 1);
  }
}

async function work(input: MainInput): Promise<number> {
  const options = parseWorkerOptions(input.argv.slice(1), input.env);
  if (options) return runWorker(options, input.env);
  process.stdout.write(WORKER_USAGE);
  return 0;
}

async function serve(options: Options, input: MainInput, version: string, startedAt: number): Promise<void> {
  const binary = resolveBinary(input.packageRoot);
  const dataDir = prepareDataDir(options.dataDir);
  const lock = acquireLock(dataDir);
  let runtime: Runtime | undefined;
  try {
    checkDatabases(dataDir);
    await checkPort(options.host, options.port);
    // While it runs, the bundle is looked at and the configuration written.
    const checked = checkContents(dataDir, input.outputs['check-data.mjs']!);
    checked.catch(() => {});
    const internalToken = randomUUID();
    const workerBundle = options.worker ? path.resolve(options.worker) : input.ensureBuilt('worker')['worker.js']!;
    const env = {
      ...input.env,
      REPOINT_MODE: options.mode,
      REPOINT_VERSION: version,
      REPOINT_INTERNAL_TOKEN: internalToken,
      REPOINT_RETRY_INTERVAL: options.retryInterval === undefined ? undefined : String(options.retryInterval),
    };
    const host = options.host.includes(':') ? `[${options.host}]` : options.host;
    const listen = [{ name: 'http', host: options.host, port: options.port }];
    if (options.connectPort) listen.push({ name: 'connect', host: options.host, port: options.port + 1 });
    const configFile = path.join(dataDir, 'workerd.capnp');
    writeFileSync(
      configFile,
      renderConfig({
        address: `${host}:${options.port}`,
        ...(options.connectPort ? { connectAddress: `${host}:${options.port + 1}` } : {}),
        dataDir,
        workerBundle,
        brokerBundle: input.outputs['broker.js']!,
        allowPrivate: options.mode === 'dev' || input.env.REPOINT_ALLOW_PRIVATE === '1',
        dispatcher: input.env.REPOINT_DISPATCHER === '1',
        variables: passedVariables(env),
        queues: QUEUES,
      }),
    );
    await checked;
    lock.assertHeld();
    runtime = await startRuntime(binary, { configFile, listen, env, log: forwardLog() });
    const url = `http://${urlHost(options.host)}:${runtime.port}`;
    lock.update({ runtime: identify(runtime.pid), url, internalToken });
    await waitUntilHealthy(url, runtime);
    pollApps(url, options.sdkUrls, {
      key: input.env.INNGEST_SIGNING_KEY,
      log: (line) => process.stderr.write(`repoint: ${line}\n`),
    });
    superviseUntilEnd(runtime, lock, { url, internalToken, endWithStdin: options.endWithStdin });
    renewAtRest(runtime, lock, { url, internalToken });
    const startedInMs = performance.now() - startedAt;
    process.stdout.write(
      readyMessage({ url, mode: options.mode, port: runtime.port, version, dataDir, startedInMs, env: input.env }),
    );
  } catch (error) {
    await runtime?.end(0);
    lock.release();
    throw error;
  }
}

async function waitUntilHealthy(url: string, runtime: Runtime): Promise<void> {
  const deadline = performance.now() + HEALTH_DEADLINE_MS;
  let ended: string | undefined;
  void runtime.ended.then((reason) => (ended = reason));
  for (;;) {
    const status = await requestStatus(`${url}/health`, { timeoutMs: HEALTH_DEADLINE_MS });
    if (status === 200) return;
    if (status === 503) throw new StartError('the server cannot work with its data directory; see the output above');
    if (ended !== undefined) throw new StartError(ended);
    if (performance.now() > deadline) {
      throw new StartError(
        `the server started, but GET ${url}/health answers ${status ?? 'nothing'}; see the output above`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, HEALTH_POLL_MS));
  }
}

function superviseUntilEnd(
  runtime: Runtime,
  lock: Lock,
  { url, internalToken, endWithStdin }: { url: string; internalToken: string; endWithStdin: boolean },
): void {
  let stopping = false;
  void runtime.ended.then((reason) => {
    lock.release();
    if (!stopping) process.stderr.write(`repoint: ${reason}\n`);
    process.exit(stopping ? 0 : 1);
  });
  const stop = async (): Promise<void> => {
    if (stopping) return void runtime.end(0);
    stopping = true;
    const startedAt = performance.now();
    const drained = await drain(url, internalToken);
    await runtime.end(
      drained === 200 ? IDLE_GRACE_MS : Math.max(END_GRACE_MS, DRAIN_MS - (performance.now() - startedAt)),
    );
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => void stop());
  if (endWithStdin) {
    process.stdin.on('end', () => void stop());
    process.stdin.on('error', () => void stop());
    process.stdin.resume();
  }
}

/** The status of the answer: 200 when nothing is under way any more. */
function drain(url: string, internalToken: string): Promise<number | undefined> {
  return requestStatus(`${url}/internal/drain`, {
    method: 'POST',
    headers: { authorization: `Bearer ${internalToken}` },
    timeoutMs: DRAIN_MS,
  });
}

/** Has the runtime begun anew: when it keeps memory for nothing, where the system tells so much of a process, and at once on SIGUSR2. */
function renewAtRest(
  runtime: Runtime,
  lock: Lock,
  { url, internalToken }: { url: string; internalToken: string },
): void {
  const { renew } = runtime;
  if (renew === null) return;
  const atRest = new AtRest();
  let under: Promise<void> | null = null;
  const begin = async (): Promise<void> => {
    const before = sightOf(runtime.pid);
    try {
      await drain(url, internalToken);
      await renew(END_GRACE_MS);
      lock.update({ runtime: identify(runtime.pid), url, internalToken });
      await waitUntilHealthy(url, runtime);
      atRest.begun();
      const gained = (before?.ownBytes ?? 0) - (sightOf(runtime.pid)?.ownBytes ?? 0);
      process.stderr.write(`repoint: the runtime was started anew, ${Math.round(gained / 1_048_576)} MiB given back\n`);
    } catch (error) {
      // If it is over, the runtime's end says so too, and ends us.
      process.stderr.write(`repoint: the runtime could not be started anew: ${(error as Error).message}\n`);
    } finally {
      under = null;
    }
  };
  const look = (): void => {
    const sight = under === null ? sightOf(runtime.pid) : undefined;
    if (sight && atRest.look(sight)) under = begin();
  };
  // The first look is at a process that has done nothing yet.
  look();
  setInterval(look, LOOK_EVERY_MS).unref();
  process.on('SIGUSR2', () => (under ??= begin()));
}

/** The runtime's output goes to standard error; a problem we know is followed, once, by what to do about it. */
function forwardLog(): (chunk: Buffer) => void {
  const said = new Set<string>();
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  return (chunk) => {
    process.stderr.write(chunk);
    const problem = knownProblem(chunk.toString());
    if (problem === undefined || said.has(problem)) return;
    said.add(problem);
    process.stderr.write(`repoint: ${problem}\n`);
  };
}

/** An address that a client on this machine can use for the one that is listened on. */
function urlHost(host: string): string {
  if (host === '0.0.0.0' || host === '*') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

function readVersion(packageRoot: string): string {
  return (JSON.parse(readFileSync(path.join(packageRoot, 'package.json'), 'utf8')) as { version: string }).version;
}

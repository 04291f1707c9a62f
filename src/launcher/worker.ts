// `repoint worker`: runs a task bundle of the vendor's own making (`trigger deploy --dry-run`) with the vendor's own controllers, in warm processes:
// no container, no registry, no development session.
import { spawn, type ChildProcess } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, hostname } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { UsageError } from './options.ts';

export const WORKER_USAGE = `Usage: repoint worker --build <folder> [options]

  Runs tasks of Trigger.dev in production, from a folder that "npx trigger.dev deploy --dry-run" has left.

  --build <folder>     the built project                                                  (REPOINT_WORKER_BUILD)
  --url <address>      the server                        (TRIGGER_API_URL, else http://127.0.0.1:8288)
  --project <ref>      the project                       (TRIGGER_PROJECT_REF, else the one of the build)
  --processes <n>      runs at the same time             (REPOINT_WORKER_PROCESSES, else one for each processor)
  --external-id <id>   a name for the deployment, by which triggers pin runs to it     (REPOINT_WORKER_EXTERNAL_ID)
  --work <folder>      where the build is prepared       (REPOINT_WORKER_DIR, else ./.repoint-worker)

The key comes from TRIGGER_SECRET_KEY. Variables of the tasks are kept by the server (envvars API), not taken from here.
`;

/** What is read of the environment of this process: the launcher's alone may look at all of it. */
type Environment = Readonly<Record<string, string | undefined>>;

export interface WorkerOptions {
  build: string;
  url: string;
  secretKey: string;
  project: string | undefined;
  processes: number;
  work: string;
  externalId: string | undefined;
}

const RESTART_FIRST_MS = 500;
const RESTART_LAST_MS = 30_000;
/** A process that has lived this long was well: the next restart comes soon again. */
const WELL_AFTER_MS = 60_000;
/** Time for runs under way to end, once this process is told to. Theirs to use: the vendor's controllers wait for their run. */
const GRACE_MS = 5 * 60_000;
/** The controllers log each of their steps as JSON (trigger.dev: managed-run-logger), all at one level. */
const DIARY = /^\{"timestamp":.*"\$name":"(managed-run-logger|warm-start-client)"/;

/** @throws UsageError for a missing or unknown option */
export function parseWorkerOptions(argv: readonly string[], env: Environment): WorkerOptions | null {
  const { values } = parse(argv);
  if (values.help) return null;
  const build = values.build ?? env.REPOINT_WORKER_BUILD;
  if (!build)
    throw new UsageError('repoint worker needs --build <folder>: what "trigger.dev deploy --dry-run" has left');
  const secretKey = env.TRIGGER_SECRET_KEY;
  if (!secretKey)
    throw new UsageError('repoint worker needs TRIGGER_SECRET_KEY: the key of the environment that it works for');
  const processes = values.processes ?? env.REPOINT_WORKER_PROCESSES ?? String(availableParallelism());
  if (!/^[1-9]\d{0,3}$/.test(processes)) throw new UsageError(`--processes takes a number from 1, not "${processes}"`);
  const url = values.url ?? env.TRIGGER_API_URL ?? 'http://127.0.0.1:8288';
  if (!URL.canParse(url)) throw new UsageError(`--url takes an address such as http://127.0.0.1:8288, not "${url}"`);
  return {
    build: path.resolve(build),
    url: url.replace(/\/+$/, ''),
    secretKey,
    project: values.project ?? env.TRIGGER_PROJECT_REF,
    processes: Number(processes),
    externalId: values['external-id'] ?? env.REPOINT_WORKER_EXTERNAL_ID,
    work: path.resolve(values.work ?? env.REPOINT_WORKER_DIR ?? '.repoint-worker'),
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        build: { type: 'string' },
        url: { type: 'string' },
        project: { type: 'string' },
        processes: { type: 'string' },
        work: { type: 'string' },
        'external-id': { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}; see repoint worker --help`);
  }
}

interface BuildManifest {
  contentHash: string;
  runtime?: string;
  config: { project: string };
  indexControllerEntryPoint: string;
  runControllerEntryPoint: string;
}

/** Runs until the process is told to end. Resolves with the exit code. */
export async function runWorker(options: WorkerOptions, env: Environment): Promise<number> {
  const { directory, manifest } = await prepare(options, env);
  const project = options.project ?? manifest.config.project;
  const deployment = await deploy(options, project, manifest);
  const shared = { PATH: env.PATH, HOME: env.HOME, TMPDIR: env.TMPDIR, NODE_EXTRA_CA_CERTS: env.NODE_EXTRA_CA_CERTS };
  await index(directory, manifest, {
    ...shared,
    TRIGGER_API_URL: options.url,
    TRIGGER_SECRET_KEY: options.secretKey,
    TRIGGER_PROJECT_REF: project,
    TRIGGER_DEPLOYMENT_ID: deployment.id,
  });
  const { protocol, hostname: domain, port } = new URL(options.url);
  const common = {
    ...shared,
    NODE_ENV: 'production',
    TRIGGER_SUPERVISOR_API_PROTOCOL: protocol.slice(0, -1),
    TRIGGER_SUPERVISOR_API_DOMAIN: domain,
    TRIGGER_SUPERVISOR_API_PORT: port || (protocol === 'https:' ? '443' : '80'),
    TRIGGER_WARM_START_URL: options.url,
    TRIGGER_CONTENT_HASH: manifest.contentHash,
    TRIGGER_DEPLOYMENT_ID: deployment.id,
    TRIGGER_DEPLOYMENT_VERSION: deployment.version,
    TRIGGER_PROJECT_ID: project,
    TRIGGER_PROJECT_REF: project,
    TRIGGER_ENV_ID: 'env_default',
    TRIGGER_WORKER_INSTANCE_NAME: hostname(),
    OTEL_EXPORTER_OTLP_ENDPOINT: `${options.url}/otel`,
  };
  console.log(
    `repoint worker ready: version ${deployment.version} of ${project}, ${options.processes} process${options.processes === 1 ? '' : 'es'}, server ${options.url}`,
  );
  return keepRunning(options.processes, (n) =>
    start(directory, manifest.runControllerEntryPoint, {
      ...common,
      TRIGGER_RUNNER_ID: `runner_${hostname()}_${process.pid}_${n}`,
      TRIGGER_POD_SCHEDULED_AT_MS: String(Date.now()),
      TRIGGER_DEQUEUED_AT_MS: String(Date.now()),
    }),
  );
}

/** A folder in which the build can run: its paths made this folder's, its dependencies installed. */
async function prepare(
  options: WorkerOptions,
  env: Environment,
): Promise<{ directory: string; manifest: BuildManifest }> {
  const file = path.join(options.build, 'build.json');
  if (!existsSync(file))
    throw new UsageError(`${options.build} holds no build.json: make it with "trigger.dev deploy --dry-run"`);
  const source = readFileSync(file, 'utf8');
  const { contentHash } = JSON.parse(source) as BuildManifest;
  const directory = path.join(options.work, contentHash.replaceAll(/[^A-Za-z0-9]/g, ''));
  const manifest = (): BuildManifest =>
    JSON.parse(readFileSync(path.join(directory, 'build.json'), 'utf8')) as BuildManifest;
  if (existsSync(path.join(directory, 'build.json'))) return { directory, manifest: manifest() };
  const fresh = `${directory}.${process.pid}`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(options.work, { recursive: true });
  cpSync(options.build, fresh, { recursive: true });
  if (needsInstall(fresh)) {
    console.log('repoint worker: installing the dependencies of the build');
    // npm removes what it does not know of: the vendor's controllers are put back after it.
    const kept = `${fresh}.controllers`;
    renameSync(path.join(fresh, 'node_modules', 'trigger.dev'), kept);
    await npmInstall(fresh, env);
    rmSync(path.join(fresh, 'node_modules', 'trigger.dev'), { recursive: true, force: true });
    renameSync(kept, path.join(fresh, 'node_modules', 'trigger.dev'));
  }
  // The build names the place it has in the vendor's container.
  writeFileSync(
    path.join(fresh, 'build.json'),
    source.replaceAll('"/app/', `${JSON.stringify(directory).slice(0, -1)}/`),
  );
  rmSync(directory, { recursive: true, force: true });
  renameSync(fresh, directory);
  return { directory, manifest: manifest() };
}

/** Whether a dependency of the build is missing, or there in another version than the one it was built with. */
function needsInstall(directory: string): boolean {
  const { dependencies = {} } = JSON.parse(readFileSync(path.join(directory, 'package.json'), 'utf8')) as {
    dependencies?: Record<string, string>;
  };
  const from = createRequire(path.join(directory, 'package.json'));
  return Object.entries(dependencies).some(([name, version]) => {
    const found = from.resolve
      .paths(name)
      ?.map((folder) => path.join(folder, name, 'package.json'))
      .find((candidate) => existsSync(candidate));
    return found === undefined || (JSON.parse(readFileSync(found, 'utf8')) as { version: string }).version !== version;
  });
}

async function npmInstall(directory: string, env: Environment): Promise<void> {
  const child = spawn('npm', ['install', '--omit=dev', '--no-audit', '--no-fund', '--legacy-peer-deps'], {
    cwd: directory,
    env: { ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const code = await exitOf(child);
  if (code !== 0) throw new Error(`npm install of the build ended with ${code}`);
}

async function deploy(
  { url, secretKey, externalId }: WorkerOptions,
  project: string,
  { contentHash, runtime }: BuildManifest,
): Promise<{ id: string; version: string }> {
  const response = await fetch(`${url}/api/v1/deployments`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${secretKey}`,
      'content-type': 'application/json',
      'x-trigger-workload-project-ref': project,
    },
    body: JSON.stringify({ contentHash, runtime, type: 'UNMANAGED', externalId }),
  });
  const answer = (await response.json()) as { id?: string; version?: string; error?: string };
  if (!response.ok || answer.id === undefined || answer.version === undefined)
    throw new Error(
      `the server at ${url} took no deployment (${response.status}): ${answer.error ?? 'is it a Repoint server?'}`,
    );
  return { id: answer.id, version: answer.version };
}

/** The vendor's own indexing: finds the tasks of the bundle, registers them, and leaves `index.json` for the controllers. */
async function index(directory: string, manifest: BuildManifest, env: Environment): Promise<void> {
  const child = start(directory, manifest.indexControllerEntryPoint, env);
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (data: Buffer) => (output = (output + data.toString()).slice(-20_000)));
  const code = await exitOf(child);
  endGroup(child);
  // It ends with 0 also when the server refused the tasks.
  if (code !== 0 || !output.includes('Background worker created'))
    throw new Error(`the tasks of the build could not be registered:\n${output.trim()}`);
}

/**
 * Runs in a controller's process before the vendor's code. Only this process holds the other end of the pipe: once it is gone, however it ended,
 * the controller is told to end as by an operator, and its group ends with it. What it prints then has no reader any more.
 */
const KEEPER = `
  const endGroup = () => process.kill(-process.pid, 'SIGKILL');
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  new (require('node:net').Socket)({ fd: 3, readable: true, writable: false })
    .on('error', () => {})
    .on('close', () => {
      process.once('exit', endGroup);
      setTimeout(endGroup, ${GRACE_MS}).unref();
      process.kill(process.pid, 'SIGTERM');
    })
    .resume()
    .unref();
  import(require('node:url').pathToFileURL(process.argv[1]).href);
`;

function start(directory: string, entry: string, env: Environment): ChildProcess {
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined));
  // A process group of its own: what it leaves behind can be ended by that.
  return spawn(process.execPath, ['--eval', KEEPER, entry], {
    cwd: directory,
    env: set,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    detached: true,
  });
}

/** A controller ends without the task process that it keeps warm, and that would go on, a core busy, with nobody to talk to. */
function endGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Nothing is left of it.
  }
}

/** What the tasks print, without the controllers' own diary. */
function passOn(child: ChildProcess): void {
  for (const [from, to] of [
    [child.stdout, process.stdout],
    [child.stderr, process.stderr],
  ] as const) {
    if (!from) continue;
    createInterface({ input: from }).on('line', (line) => {
      if (line !== '' && !DIARY.test(line)) to.write(`${line}\n`);
    });
  }
}

function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
}

/** Starts each process again when it ends, until this one is told to end: then they finish the run they have. */
async function keepRunning(count: number, startOne: (n: number) => ChildProcess): Promise<number> {
  const running = new Set<ChildProcess>();
  let ending = false;
  let interrupt: () => void = () => {};
  const interrupted = new Promise<void>((resolve) => (interrupt = resolve));
  const keep = async (n: number): Promise<void> => {
    for (let waitMs = RESTART_FIRST_MS; ;) {
      if (ending) return;
      const startedAt = Date.now();
      const child = startOne(n);
      passOn(child);
      running.add(child);
      const code = await exitOf(child).catch((error: Error) => error.message);
      running.delete(child);
      endGroup(child);
      if (ending) return;
      waitMs = Date.now() - startedAt > WELL_AFTER_MS ? RESTART_FIRST_MS : Math.min(waitMs * 2, RESTART_LAST_MS);
      console.error(`repoint worker: process ${n} ended (${String(code)}), again in ${waitMs} ms`);
      await Promise.race([new Promise((resolve) => setTimeout(resolve, waitMs)), interrupted]);
    }
  };
  const end = (): void => {
    if (ending) return;
    ending = true;
    interrupt();
    for (const child of running) child.kill('SIGTERM');
    setTimeout(() => {
      for (const child of running) endGroup(child);
    }, GRACE_MS).unref();
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  await Promise.all(Array.from({ length: count }, (_, n) => keep(n)));
  return 0;
}

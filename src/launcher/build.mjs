// Bundles the launcher, the queue broker and the Worker with esbuild into dist/, and knows whether they are fresh.
// Plain JavaScript, because it runs before anything is bundled, on any Node from 20 on. esbuild is loaded only in a child
// process and only when an input has changed: a fresh start pays a few dozen stat calls.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const self = fileURLToPath(import.meta.url);

/** The package's directory, whether this file runs from src/launcher or from an installed package. */
export const packageRoot = path.resolve(path.dirname(self), '../..');

const distDir = path.join(packageRoot, 'dist');
// npm rewrites it whenever it changes a package, so it stands for all of their files.
const INSTALLED = 'node_modules/.package-lock.json';
// Bundles other than the newest may still be on their way into a server that is starting.
const OLD_BUNDLE_MS = 60 * 60 * 1000;
// A source may change while it is bundled: a package manager that still writes, an editor, a switch of branches.
const MAX_BUILDS = 5;
const PAUSE_MS = 300;

const worker = {
  format: 'esm',
  target: 'es2024',
  conditions: ['workerd', 'worker', 'browser'],
  mainFields: ['browser', 'module', 'main'],
  platform: 'neutral',
  external: ['cloudflare:*', 'node:*'],
};

/** @type {Record<string, { required: boolean, entries: Record<string, { entry: string, options: object }> }>} */
const targets = {
  launcher: {
    entries: {
      'launcher.mjs': { entry: 'src/launcher/main.ts', options: { format: 'esm', target: 'node20', platform: 'node' } },
      'check-data.mjs': {
        entry: 'src/launcher/check-data.ts',
        options: { format: 'esm', target: 'node20', platform: 'node' },
      },
      'broker.js': { entry: 'src/launcher/broker.worker.ts', options: worker },
    },
  },
  worker: { entries: { 'worker.js': { entry: 'src/worker.ts', options: worker } } },
};

/**
 * Returns the absolute path of each bundle of a target, building first when a source file has changed.
 * An installed package without sources uses what was built when it was published.
 * @param {string} target 'launcher' or 'worker'
 * @returns {Record<string, string>}
 */
export function ensureBuilt(target) {
  const fresh = readFresh(target);
  if (fresh) return fresh;
  return untilFresh(
    () => {
      const child = spawnSync(process.execPath, [self, target], {
        stdio: ['ignore', 'inherit', 'pipe'],
        encoding: 'utf8',
      });
      if (child.status !== 0) throw new Error(`could not bundle the ${target}:\n${child.stderr.trim()}`);
      return readFresh(target);
    },
    () =>
      `the ${target} was bundled ${MAX_BUILDS} times, and each time its sources had changed meanwhile` +
      ` (${changedInputs(target).join(', ') || 'the bundle is gone'}): wait until nothing writes to them, then start again`,
  );
}

/**
 * Calls `build` until it answers something, with a pause in between, a bounded number of times.
 * @template T
 * @param {() => T | undefined} build
 * @param {() => string} complain says what was wrong
 * @param {(ms: number) => void} pause
 * @returns {T}
 */
export function untilFresh(build, complain, pause = sleep) {
  for (let builds = 1; ; builds++) {
    const built = build();
    if (built) return built;
    if (builds === MAX_BUILDS) throw new Error(complain());
    pause(PAUSE_MS);
  }
}

function sleep(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function manifestPath(target) {
  return path.join(distDir, `${target}.json`);
}

function readFresh(target) {
  const manifest = readManifest(target);
  if (!manifest) return undefined;
  const sourcesShipped = existsSync(path.join(packageRoot, Object.values(targets[target].entries)[0].entry));
  if (sourcesShipped && changedInputs(target, manifest).length > 0) return undefined;
  const outputs = {};
  for (const [name, file] of Object.entries(manifest.outputs)) {
    outputs[name] = path.join(distDir, file);
    if (!existsSync(outputs[name])) return undefined;
  }
  return outputs;
}

function readManifest(target) {
  try {
    return JSON.parse(readFileSync(manifestPath(target), 'utf8'));
  } catch {
    return undefined;
  }
}

function changedInputs(target, manifest = readManifest(target)) {
  return Object.entries(manifest?.inputs ?? {})
    .filter(([file, stamp]) => stampOf(file) !== stamp)
    .map(([file]) => file);
}

function stampOf(file) {
  const stat = statSync(path.join(packageRoot, file), { throwIfNoEntry: false });
  return stat ? `${stat.mtimeMs}:${stat.size}` : 'missing';
}

function mtimeOf(file) {
  return statSync(path.join(packageRoot, file), { throwIfNoEntry: false })?.mtimeMs ?? Infinity;
}

async function build(target) {
  const esbuild = await import('esbuild');
  const inputs = {};
  const outputs = {};
  const startedAt = Date.now();
  mkdirSync(distDir, { recursive: true });
  for (const file of ['package.json', INSTALLED, path.relative(packageRoot, self)]) inputs[file] = stampOf(file);
  for (const [name, { entry, options }] of Object.entries(targets[target].entries)) {
    const result = await esbuild.build({
      ...options,
      absWorkingDir: packageRoot,
      entryPoints: [entry],
      bundle: true,
      write: false,
      metafile: true,
      legalComments: 'none',
      logLevel: 'error',
    });
    for (const file of Object.keys(result.metafile.inputs)) {
      if (file.startsWith('node_modules/')) continue;
      // Which of its texts the bundle has is not known of a file that was written since.
      inputs[file] = mtimeOf(file) >= startedAt ? 'changed' : stampOf(file);
    }
    const code = result.outputFiles[0].contents;
    const extension = path.extname(name);
    const stem = name.slice(0, -extension.length);
    outputs[name] = `${stem}-${createHash('sha256').update(code).digest('hex').slice(0, 16)}${extension}`;
    // The name carries the content and the rename is atomic, so servers starting at the same time never read half a file.
    writeAtomically(path.join(distDir, outputs[name]), code);
    removeOldBundles(stem, extension, outputs[name]);
  }
  writeAtomically(manifestPath(target), JSON.stringify({ inputs, outputs }, null, 1));
}

function writeAtomically(file, content) {
  const temporary = `${file}.${process.pid}.tmp`;
  writeFileSync(temporary, content);
  renameSync(temporary, file);
}

function removeOldBundles(stem, extension, keep) {
  for (const file of readdirSync(distDir)) {
    if (file === keep || !file.startsWith(`${stem}-`) || !file.endsWith(extension)) continue;
    const full = path.join(distDir, file);
    const stat = statSync(full, { throwIfNoEntry: false });
    if (stat && Date.now() - stat.mtimeMs > OLD_BUNDLE_MS) rmSync(full, { force: true });
  }
}

if (process.argv[1] === self) {
  try {
    for (const target of process.argv.slice(2)) await build(target);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}

import { globSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { runSuite, type CaseResult } from './harness/runner.ts';
import { count, toJson, toJunit } from './harness/report.ts';
import { noteServerLog, takeServerErrors, takeServerLog, watchServer } from './harness/server-errors.ts';
import { takeDeclaredSuites, type Suite } from './harness/suite.ts';
import { writeTables } from './harness/table.ts';
import type { Server } from '../src/launcher/index.ts';

const USAGE = `Usage: npm run conformance -- [options]

Drives a running server with the vendors' own packages, unmodified: conformance/*/*.suite.ts, one after another.

  --url <base>       the server to drive, which must be in dev mode; default: one is started with a fresh data directory
  --vendor <name>    only inngest, trigger, qstash or native; may be repeated
  --filter <text>    only cases whose suite, file or title contains the text, or that show the row (I-22, T-13, Q-8)
  --json <file>      write every case with its rows, result and time
  --junit <file>     the same for a CI server
  --slow             also the cases that take many seconds of real time
  --table            write the compatibility table: README.md (summary) and docs/compatibility.md (every row)
  --list             print the cases and run none
  --verbose          print the server's log as it comes
  --help             this text
`;

const ROOT = new URL('../', import.meta.url);

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      url: { type: 'string' },
      vendor: { type: 'string', multiple: true },
      filter: { type: 'string' },
      json: { type: 'string' },
      junit: { type: 'string' },
      slow: { type: 'boolean', default: false },
      table: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const unhandled: unknown[] = [];
  process.on('unhandledRejection', (error) => void unhandled.push(asUnhandled(error)));
  process.on('uncaughtException', (error) => void unhandled.push(asUnhandled(error)));

  const suites = (await loadSuites()).filter((suite) => !values.vendor || values.vendor.includes(suite.info.vendor));
  if (values.list) {
    for (const suite of suites) {
      for (const item of suite.cases)
        console.log(`${suite.info.vendor}  ${suite.info.sdk}  ${item.ids.join(' ')}  ${item.title}`);
    }
    return 0;
  }

  const startedAt = performance.now();
  let server: Server | undefined;
  let url = values.url?.replace(/\/$/, '');
  if (url === undefined) {
    const { startServer } = await import('../src/launcher/index.ts');
    server = await startServer({
      mode: 'dev',
      onLog: (text) => {
        noteServerLog(text);
        if (values.verbose) process.stderr.write(text);
      },
    });
    url = server.url;
  }
  const results: CaseResult[] = [];
  try {
    const health = await healthOf(url);
    console.log(`server ${url} (${health.mode}, version ${health.version})\n`);
    watchServer(url);
    for (const suite of suites) {
      results.push(
        ...(await runSuite(suite, {
          url,
          filter: values.filter,
          slow: values.slow,
          takeServerLog,
          takeServerErrors,
          takeUnhandled: () => unhandled.splice(0),
          onResult: printResult,
        })),
      );
    }
    const durationMs = Math.round(performance.now() - startedAt);
    if (values.json)
      write(values.json, toJson(results, { date: new Date().toISOString(), url, ...health, durationMs }));
    if (values.junit) write(values.junit, toJunit(results, durationMs));
    if (values.table) writeTables(results, ROOT);
  } finally {
    await server?.stop();
  }
  return summarise(results, unhandled);
}

async function loadSuites(): Promise<Suite[]> {
  const files = globSync('conformance/*/*.suite.ts', { cwd: fileURLToPath(ROOT) }).sort();
  const suites: Suite[] = [];
  for (const file of files) {
    try {
      await import(pathToFileURL(path.join(fileURLToPath(ROOT), file)).href);
    } catch (error) {
      throw new Error(`${file} cannot be loaded`, { cause: error });
    }
    suites.push(...takeDeclaredSuites(file));
  }
  return suites;
}

async function healthOf(url: string): Promise<{ mode: string; version: string }> {
  const response = await fetch(`${url}/health`);
  const health = (await response.json()) as { mode?: string; version?: string };
  if (health.mode === 'production')
    throw new Error(
      `the server at ${url} runs in production mode; the cases move its clock, which only dev mode allows`,
    );
  return { mode: health.mode ?? 'unknown', version: health.version ?? 'unknown' };
}

const MARKS = { passed: 'ok  ', failed: 'FAIL', skipped: 'skip' } as const;

function printResult(result: CaseResult): void {
  const head = `${MARKS[result.status]} ${result.suite.vendor.padEnd(8)}${result.ids.join(' ')}  ${result.title}`;
  console.log(
    result.status === 'skipped'
      ? `${head}: ${result.reason}`
      : `${head}  [${result.suite.sdk}, ${result.durationMs} ms]`,
  );
  if (result.status !== 'failed') return;
  console.log(indent(result.error ?? ''));
  for (const line of result.details ?? []) console.log(indent(line));
}

function summarise(results: CaseResult[], unhandled: unknown[]): number {
  const { passed, failed, skipped } = count(results);
  const failures = results.filter((result) => result.status === 'failed');
  if (failures.length > 0)
    console.log(
      `\nfailed:\n${failures.map((item) => `  ${item.ids.join(' ')} ${item.title} (${item.suite.sdk}, ${item.file})`).join('\n')}`,
    );
  for (const error of unhandled) console.log(error);
  if (results.length === 0) console.log('\nno case matches');
  const total = failed + unhandled.length;
  console.log(`\n${passed} passed, ${total} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  return total > 0 || results.length === 0 ? 1 : 0;
}

function asUnhandled(error: unknown): Error {
  return new Error('an error that nobody awaited', { cause: error });
}

function write(file: string, text: string): void {
  mkdirSync(path.dirname(path.resolve(file)), { recursive: true });
  writeFileSync(file, text);
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '     ');
}

// By `exit`, so that what ends with this process is ended.
for (const [signal, code] of Object.entries({ SIGHUP: 129, SIGINT: 130, SIGTERM: 143 }))
  process.once(signal, () => process.exit(code));
try {
  // Exits by itself: an SDK may leave timers or sockets behind.
  process.exit(await main());
} catch (error) {
  console.error(error);
  process.exit(1);
}

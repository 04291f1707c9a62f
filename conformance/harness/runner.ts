import { environmentFor } from './environment.ts';
import { openScope } from './context.ts';
import type { ServerError } from './server-errors.ts';
import { DEFAULT_CASE_TIMEOUT_MS, Skip, type ConformanceCase, type Suite, type SuiteInfo } from './suite.ts';

export type CaseStatus = 'passed' | 'failed' | 'skipped';

export interface CaseResult {
  suite: SuiteInfo;
  file: string;
  ids: string[];
  title: string;
  status: CaseStatus;
  durationMs: number;
  /** Why it was skipped. */
  reason?: string;
  /** Message and stack of the failure. */
  error?: string;
  /** What the case logged, the server's 5xx answers and the end of the server's log; for failures. */
  details?: string[];
}

export interface RunnerOptions {
  url: string;
  /** Only cases whose suite, title or ids contain it (case-insensitive). */
  filter?: string;
  /** Run slow cases as well. Default false. */
  slow?: boolean;
  /** What the server has logged since the last call. */
  takeServerLog: () => string;
  /** Answers 500 and the like since the last call; also such as a log tells of. */
  takeServerErrors: (serverLog: string) => ServerError[];
  /** Errors that nobody awaited, since the last call. */
  takeUnhandled: () => unknown[];
  onResult: (result: CaseResult) => void;
}

const HOOK_TIMEOUT_MS = 120_000;
const LOG_LINES = 40;

/** Runs the suites' cases one after another: the moved clock belongs to the whole server. */
export async function runSuite(suite: Suite, options: RunnerOptions): Promise<CaseResult[]> {
  const chosen = suite.cases.filter((item) => matches(suite, item, options.filter));
  if (chosen.length === 0) return [];
  const results: CaseResult[] = [];
  const report = (item: ConformanceCase, rest: Omit<CaseResult, 'suite' | 'file' | 'ids' | 'title'>): void => {
    const result = { suite: suite.info, file: suite.file, ids: item.ids, title: item.title, ...rest };
    results.push(result);
    options.onResult(result);
  };
  const skipOf = (item: ConformanceCase): string | undefined =>
    item.options.skip ?? (item.options.slow && !options.slow ? 'slow: run with --slow' : undefined);
  const running = chosen.filter((item) => skipOf(item) === undefined);
  const environment = environmentFor(suite.file);
  const shared = openScope(options.url, environment);
  const setUp =
    running.length === 0 ? null : await attempt(() => inOrder(suite.beforeAll, shared.context), HOOK_TIMEOUT_MS);
  for (const item of chosen) {
    const reason = skipOf(item);
    if (reason !== undefined) {
      report(item, { status: 'skipped', durationMs: 0, reason });
      continue;
    }
    if (setUp) {
      const details = [...shared.logged, ...logTail(options.takeServerLog())];
      report(item, { status: 'failed', durationMs: 0, error: `beforeAll: ${describe(setUp)}`, details });
      continue;
    }
    report(item, await runCase(item, environment, options));
  }
  const tearDown =
    running.length === 0 ? null : await attempt(() => inOrder(suite.afterAll, shared.context), HOOK_TIMEOUT_MS);
  const leftovers = [...(tearDown ? [tearDown] : []), ...(await shared.close()), ...options.takeUnhandled()];
  if (leftovers.length > 0) {
    const item: ConformanceCase = { ids: ['afterAll'], title: 'the suite ends cleanly', body: () => {}, options: {} };
    report(item, { status: 'failed', durationMs: 0, error: leftovers.map(describe).join('\n') });
  }
  return results;
}

async function runCase(
  item: ConformanceCase,
  environment: ReturnType<typeof environmentFor>,
  options: RunnerOptions,
): Promise<Omit<CaseResult, 'suite' | 'file' | 'ids' | 'title'>> {
  options.takeServerErrors(options.takeServerLog());
  const scope = openScope(options.url, environment);
  const startedAt = performance.now();
  const failure = await attempt(
    async () => item.body(scope.context),
    item.options.timeoutMs ?? DEFAULT_CASE_TIMEOUT_MS,
  );
  if (failure) scope.abort(failure instanceof Error ? failure : new Error(String(failure)));
  const cleanup = await scope.close();
  if (failure instanceof Skip) {
    const durationMs = Math.round(performance.now() - startedAt);
    return { status: 'skipped', durationMs, reason: failure.message };
  }
  const errors = [...(failure ? [failure] : []), ...cleanup, ...options.takeUnhandled()].map(describe);
  const serverLog = options.takeServerLog();
  const answers = options.takeServerErrors(serverLog);
  // 500 is what an error that nobody foresaw becomes; 502 to 504 may be an honest answer (an app that cannot be reached, overload).
  if (!item.options.allowServerErrors) {
    for (const answer of answers) if (answer.status === 500) errors.push(`the server failed: ${render(answer)}`);
  }
  const durationMs = Math.round(performance.now() - startedAt);
  if (errors.length === 0) return { status: 'passed', durationMs };
  const details = [...scope.logged, ...answers.map((answer) => `answer ${render(answer)}`), ...logTail(serverLog)];
  return { status: 'failed', durationMs, error: errors.join('\n'), details };
}

/** The exception, or null. */
async function attempt(body: () => Promise<void>, timeoutMs: number): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not finished after ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    await Promise.race([body(), timeout]);
    return null;
  } catch (error) {
    return error ?? new Error('threw nothing');
  } finally {
    clearTimeout(timer);
  }
}

async function inOrder<T>(hooks: Array<(context: T) => Promise<void> | void>, context: T): Promise<void> {
  for (const hook of hooks) await hook(context);
}

function matches(suite: Suite, item: ConformanceCase, filter: string | undefined): boolean {
  if (filter === undefined) return true;
  const wanted = filter.toLowerCase();
  if (item.ids.some((id) => id.toLowerCase() === wanted)) return true;
  if (/^[itqn]-\d+$/.test(wanted)) return false;
  return `${suite.info.vendor} ${suite.info.name} ${suite.info.sdk} ${suite.file} ${item.title}`
    .toLowerCase()
    .includes(wanted);
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\ncause: ${describe(error.cause)}`;
  return `${error.stack ?? `${error.name}: ${error.message}`}${cause}`;
}

function render(answer: ServerError): string {
  return `${answer.status} to ${answer.method} ${answer.path}: ${answer.body}`;
}

function logTail(log: string): string[] {
  return log
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-LOG_LINES)
    .map((line) => `server: ${line}`);
}

import type { RunFacts } from '../../core/model/query.ts';
import { WireError } from './errors.ts';
import { messageIdOf } from './ids.ts';
import type { RunMeta } from './meta.ts';

/** What a filter looks at. */
export interface Subject {
  run: Pick<RunFacts, 'id' | 'createdAt'>;
  meta: RunMeta;
  atMs?: number;
  state?: string;
  responseStatus?: number;
  deadLetterId?: string;
}

type Test = (subject: Subject, values: string[]) => boolean;

const oneOf =
  (read: (subject: Subject) => string | undefined): Test =>
  (subject, values) => {
    const value = read(subject);
    return value !== undefined && values.includes(value);
  };

/** Several values of one field: any of them. Several fields: all of them. */
const TESTS: Record<string, Test> = {
  messageId: oneOf((s) => messageIdOf(s.run.id)),
  messageIds: oneOf((s) => messageIdOf(s.run.id)),
  dlqIds: oneOf((s) => s.deadLetterId),
  url: oneOf((s) => s.meta.url),
  host: oneOf((s) => new URL(s.meta.url).host),
  path: oneOf((s) => new URL(s.meta.url).pathname),
  topicName: oneOf((s) => s.meta.topic),
  scheduleId: oneOf((s) => s.meta.schedule),
  queueName: oneOf((s) => s.meta.queue),
  flowControlKey: oneOf((s) => s.meta.flowControl?.key),
  callerIp: oneOf((s) => s.meta.callerIp),
  callerIP: oneOf((s) => s.meta.callerIp),
  label: (s, values) => s.meta.labels?.some((label) => values.includes(label)) ?? false,
  state: (s, values) => s.state === undefined || values.some((value) => stateMatches(value, s.state as string)),
  responseStatus: oneOf((s) => (s.responseStatus === undefined ? undefined : String(s.responseStatus))),
  workflowRunId: oneOf((s) => s.meta.workflow?.runId),
  workflowRunIds: oneOf((s) => s.meta.workflow?.runId),
  workflowCreatedAt: oneOf((s) => String(s.run.createdAt)),
  /** `<run id>@<time of its creation>`: several runs may have had one id. */
  workflowRuns: oneOf((s) => s.meta.workflow && `${s.meta.workflow.runId}@${s.run.createdAt}`),
};

const IN_PROGRESS = ['ACTIVE', 'RETRY', 'ERROR'];

function stateMatches(wanted: string, state: string): boolean {
  const upper = wanted.toUpperCase();
  if (upper === 'IN_PROGRESS') return IN_PROGRESS.includes(state);
  return (upper === 'CANCELLED' ? 'CANCELED' : upper) === state;
}

/** Paging and choices that are no filters; read by the routes themselves. */
const PLAIN = new Set([
  'cursor',
  'count',
  'order',
  'source',
  'qstash_token',
  'groupBy',
  'trimBody',
  'fromDate',
  'toDate',
  'workflowUrl',
  'workflowUrlExactMatch',
  'failureFunctionState',
  'failureCallbackState',
  'async',
]);
/** What names single things: given without a value, nothing is meant, and not everything. */
const IDS = new Set(['messageId', 'messageIds', 'dlqIds', 'workflowRunId', 'workflowRunIds', 'workflowRuns']);
/** How a bulk request is carried out, and not what it means. */
const MANNER = new Set(['cursor', 'count', 'order', 'source', 'async', 'qstash_token']);

export interface Filter {
  matches(subject: Subject): boolean;
  /** No field at all was given. */
  empty: boolean;
  values(name: string): string[];
  /** Also without a value. */
  has(name: string): boolean;
  /** The fields that choose, as they were given. */
  given: Record<string, string[]>;
  cursor?: string;
  count?: number;
  ascending: boolean;
}

/**
 * Reads the filters of a query. `strict` (everything that deletes, cancels or retries) refuses a name that it does not know, and a filter without a
 * value: ignoring one would act on everything.
 */
export function parseFilter(
  query: URLSearchParams,
  options: { strict: boolean; maxCount: number; defaultCount?: number },
): Filter {
  const fields = new Map<string, string[]>();
  for (const name of new Set(query.keys())) {
    const values = query
      .getAll(name)
      .flatMap((value) => (name === 'url' || name === 'workflowUrl' ? [value] : value.split(',')))
      .filter((value) => value !== '');
    if (!(name in TESTS) && !PLAIN.has(name)) {
      if (options.strict) throw new WireError(400, `invalid query parameter ${name}: it is not known`);
      continue;
    }
    if (values.length > 0) fields.set(name, values);
    else if (options.strict && name in TESTS && !IDS.has(name))
      throw new WireError(400, `invalid query parameter ${name}: it is empty`);
  }
  const fromMs = dateOf(query, 'fromDate');
  const toMs = dateOf(query, 'toDate');
  const urls = fields.get('workflowUrl');
  const exact = fields.get('workflowUrlExactMatch')?.[0] === 'true';
  const tests = [...fields].filter(([name]) => name in TESTS);
  const countText = fields.get('count')?.[0];
  const count = countText === undefined ? options.defaultCount : Number(countText);
  if (count !== undefined && (!Number.isInteger(count) || count < 1)) {
    throw new WireError(
      400,
      `invalid query parameter count: ${JSON.stringify(countText)} is not a whole number of at least 1`,
    );
  }
  const isNothing = options.strict && [...IDS].some((name) => query.has(name) && !fields.has(name));
  return {
    matches(subject) {
      if (isNothing) return false;
      const at = subject.atMs ?? subject.run.createdAt;
      if (fromMs !== undefined && at < fromMs) return false;
      if (toMs !== undefined && at > toMs) return false;
      const own = subject.meta.url;
      if (urls && !urls.some((url) => (exact ? own === url : own.startsWith(url)))) return false;
      return tests.every(([name, values]) => (TESTS[name] as Test)(subject, values));
    },
    empty: tests.length === 0 && fromMs === undefined && toMs === undefined && urls === undefined,
    values: (name) => fields.get(name) ?? [],
    has: (name) => query.has(name),
    given: Object.fromEntries([...fields].filter(([name]) => !MANNER.has(name))),
    cursor: fields.get('cursor')?.[0],
    count: count === undefined ? undefined : Math.min(count, options.maxCount),
    ascending: fields.get('order')?.[0] === 'earliestFirst',
  };
}

function dateOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  const ms = Number(text);
  if (!Number.isFinite(ms))
    throw new WireError(400, `invalid query parameter ${name}: ${JSON.stringify(text)} is not a time in milliseconds`);
  return ms;
}

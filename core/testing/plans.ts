import type { DatabaseSync } from 'node:sqlite';

/** Tables that have a row for each thing that was set up, and none for what is done with it. */
const SMALL = ['sqlite_master', 'meta', 'tasks', 'schedules', 'pauses', 'limit_rules', 'limits', 'wait_paths', 'host'];

/** Statements that read a table whole, each with the reason that this is right. */
const ALLOWED: ReadonlyArray<{ begins: string; why: string }> = [
  { begins: 'UPDATE pending SET owner =', why: 'a migration' },
  {
    begins: 'SELECT owner, key, lease, held FROM pending WHERE held IS NOT NULL',
    why: 'at start; the index has only what holds',
  },
  { begins: 'SELECT DISTINCT destination FROM outbox', why: 'at start; acknowledged messages are gone' },
  {
    begins: 'INSERT OR IGNORE INTO labels (label, run) SELECT ?, id FROM runs WHERE task = ?',
    why: 'once, when an index is asked for',
  },
  { begins: 'INSERT OR IGNORE INTO log (name, at, run, seq) SELECT', why: 'once, when a log is asked for' },
  // A look at the first so many of what is ready (MAX_READY).
  {
    begins:
      "SELECT json_extract(l.value, '$.key') AS key, count(*) AS n FROM (SELECT owner FROM pending WHERE bucket > '' LIMIT ?)",
    why: 'bounded',
  },
  { begins: 'SELECT stream FROM streams WHERE expires <= ?', why: 'once a minute at most, of one channel' },
  { begins: 'SELECT key FROM blobs WHERE expires <= ?', why: 'by an alarm, of one shelf' },
  { begins: 'SELECT upload FROM blob_uploads WHERE expires <= ?', why: 'by an alarm, of one shelf' },
];

/**
 * Why a statement may come to read or to sort as many rows as there are; null when its plan is bounded by an index, by a limit without a filter, or
 * by a table that stays small. Plans follow from the schema alone: no statistics are kept, here or in a Durable Object.
 */
export function planFault(database: DatabaseSync, statement: string): string | null {
  const query = statement.replaceAll(/\s+/g, ' ').trim();
  if (!/^(SELECT|WITH|INSERT|UPDATE|DELETE|REPLACE) /i.test(query)) return null;
  if (ALLOWED.some(({ begins }) => query.startsWith(begins))) return null;
  const plan = database.prepare(`EXPLAIN QUERY PLAN ${statement}`).all() as Array<{ detail: string }>;
  const fault = plan.find(({ detail }) => isUnbounded(detail, query));
  return fault ? `${fault.detail}: ${query}` : null;
}

function isUnbounded(detail: string, query: string): boolean {
  if (/USE TEMP B-TREE|AUTOMATIC/.test(detail)) return true;
  const table = /^SCAN (\S+)/.exec(detail)?.[1];
  // A subquery is as long as its own steps make it; json_each is as long as a parameter.
  if (table === undefined || table.startsWith('(') || detail.includes('VIRTUAL TABLE') || SMALL.includes(table))
    return false;
  const fromFirst = new RegExp(`FROM ${table}( AS \\w+)?( ORDER BY [\\w, ]+?)? LIMIT `, 'i');
  return !fromFirst.test(query);
}

/** Whether a test itself asks, and not what it tests: by the stack of the caller. */
export function isAskedByTest(stack: string): boolean {
  const caller = stack
    .split('\n')
    .find((line) => line.includes('.ts') && !/\/core\/testing\/(node-sql|plans)\.ts/.test(line));
  return caller === undefined || /\.test\.ts|\/testing\/|\/sim\//.test(caller);
}

import { limitBucket, limitOfBucket } from '../flow/backlogs.ts';
import { counterOf, type Rate, subCounters, subOf } from '../model/limit.ts';
import type { LimitRecord } from '../model/query.ts';
import type { Kernel } from './kernel.ts';

/** Sub-keys of one limit that are told. */
const MAX_SUBS = 1_000;

/** Ready calls that are looked at to see which limits they are subject to. */
const MAX_READY = 10_000;

interface Options {
  subs?: boolean;
  rate?: Rate;
  ready?: boolean;
}

type InUse = ReturnType<Kernel['limits']['counters']>[number];

/** Limits that are set or in use, by key. */
export function listLimits(k: Kernel, prefix: string, withReady: boolean): LimitRecord[] {
  const ready = withReady ? countReady(k) : null;
  const inUse = new Map<string, InUse[]>(k.limits.rules.list().map(({ key }) => [key, []]));
  for (const one of k.limits.counters()) {
    const list = inUse.get(one.spec.key);
    if (list) list.push(one);
    else inUse.set(one.spec.key, [one]);
  }
  for (const key of ready?.keys() ?? []) if (!inUse.has(key)) inUse.set(key, []);
  return [...inUse]
    .filter(([key]) => key.startsWith(prefix))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, counters]) => recordOf(k, key, counters, {}, ready));
}

export function limitRecord(k: Kernel, { key, ...options }: Options & { key: string }): LimitRecord {
  const counters = k.limits.counters().filter(({ spec }) => spec.key === key);
  return recordOf(k, key, counters, options, options.ready ? countReady(k) : null);
}

function recordOf(
  k: Kernel,
  key: string,
  inUse: InUse[],
  options: Options,
  ready: Map<string, number> | null,
): LimitRecord {
  const counter = counterOf({ key });
  const rule = k.limits.rules.get(key);
  const newest = inUse.at(-1)?.spec;
  const rate = rule?.rate ?? newest?.rate ?? options.rate ?? null;
  const usage = rate === null ? { used: 0, startMs: null } : k.limits.rates.usage(counter, rate, k.now);
  const waiting = waitingFor(k, key, counter);
  let waitingInAll = 0;
  for (const count of waiting.values()) waitingInAll += count;
  const held = new Map(inUse.map((one) => [one.counter, one.held]));
  const subs = new Set([...held.keys(), ...waiting.keys()]);
  subs.delete(counter);
  return {
    key,
    max: rule?.max ?? newest?.max ?? null,
    rate,
    paused: rule?.paused ?? false,
    set: {
      ...(rule?.max === undefined ? {} : { max: rule.max }),
      ...(rule?.rate === undefined ? {} : { rate: rule.rate }),
    },
    held: inUse.reduce((sum, one) => sum + one.held, 0),
    waiting: waitingInAll,
    used: usage.used,
    usedSinceMs: usage.startMs,
    ...(ready ? { ready: Math.max(ready.get(key) ?? 0, waitingInAll) } : {}),
    ...(options.subs
      ? {
          subs: [...subs].slice(0, MAX_SUBS).map((name) => ({
            sub: subOf(key, name) ?? '',
            held: held.get(name) ?? 0,
            waiting: waiting.get(name) ?? 0,
          })),
        }
      : {}),
  };
}

/** Calls that are due and not under way, wherever they wait, by the limits that they are subject to. */
function countReady(k: Kernel): Map<string, number> {
  const rows = k.sql.all<{ key: string; n: number }>(
    `SELECT json_extract(l.value, '$.key') AS key, count(*) AS n
     FROM (SELECT owner FROM pending WHERE bucket > '' LIMIT ?) AS p
       JOIN runs AS r ON r.id = p.owner, json_each(r.head, '$.limits') AS l
     GROUP BY 1`,
    MAX_READY,
  );
  return new Map(rows.map(({ key, n }) => [key, n]));
}

/** Calls that wait for a limit, by counter. Rows of push calls that are under way stay in their bucket, and are left out. */
function waitingFor(k: Kernel, key: string, counter: string): Map<string, number> {
  const { from, to } = subCounters(key);
  const rows = k.sql.all<{ bucket: string; n: number }>(
    `SELECT bucket, count(*) AS n FROM pending WHERE bucket = ? GROUP BY bucket
     UNION ALL SELECT bucket, count(*) AS n FROM pending WHERE bucket >= ? AND bucket < ? GROUP BY bucket`,
    limitBucket(counter),
    limitBucket(from),
    limitBucket(to),
  );
  const waiting = new Map(rows.map(({ bucket, n }) => [limitOfBucket(bucket) ?? '', n]));
  if (waiting.size === 0) return waiting;
  for (const { run, key: call } of k.leases.all()) {
    const name = limitOfBucket(k.find(run)?.rows.get(call)?.row.bucket ?? '');
    const count = name === null ? undefined : waiting.get(name);
    if (name !== null && count !== undefined) waiting.set(name, count - 1);
  }
  for (const [name, count] of waiting) if (count === 0) waiting.delete(name);
  return waiting;
}

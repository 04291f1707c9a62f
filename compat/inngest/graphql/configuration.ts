import type { Admission, TaskRecord } from '../../../core/model/task.ts';
import { DEBOUNCE_BUFFER_MS, CANCEL_WITHIN_MS } from '../policies.ts';
import { DEFAULT_RETRIES } from '../registration.ts';
import { time } from './reader.ts';

/** The vendor's word for "as many as the plan has" where there is no plan (inngest/inngest: pkg/coreapi/graph/models UnknownPlanConcurrencyLimit). */
const PLAN_LIMIT = -1;

const UNITS: ReadonlyArray<readonly [letter: string, ms: number]> = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
];

/** `FunctionConfiguration`: what a function's policies are, read back from its task. */
export function configurationView(task: TaskRecord): object {
  const admitted = <K extends Admission['kind']>(kind: K): Extract<Admission, { kind: K }> | undefined =>
    task.admit?.find((rule): rule is Extract<Admission, { kind: K }> => rule.kind === kind);
  const [batch, rate, debounce, single] = [
    admitted('batch'),
    admitted('rate'),
    admitted('debounce'),
    admitted('single'),
  ];
  const retries = task.maxAttempts - 1;
  return {
    cancellations: (task.guards?.cancelOn ?? []).map((guard) => ({
      event: guard.name,
      timeout: timeoutOf(guard),
      condition: guard.expression ?? null,
    })),
    retries: { value: retries, isDefault: retries === DEFAULT_RETRIES },
    priority: task.priority?.expression ?? null,
    eventsBatch: batch ? { maxSize: batch.size, timeout: duration(batch.waitMs), key: batch.expression ?? null } : null,
    concurrency: concurrencyOf(task),
    rateLimit: rate
      ? { limit: rate.bound.max, period: duration(rate.bound.periodMs), key: rate.expression ?? null }
      : null,
    debounce: debounce
      ? { period: duration(debounce.delayMs - DEBOUNCE_BUFFER_MS), key: debounce.expression ?? null }
      : null,
    throttle: throttleOf(task),
    singleton: single ? { mode: single.taken === 'replace' ? 'CANCEL' : 'SKIP', key: single.expression ?? null } : null,
  };
}

function timeoutOf(guard: { withinMs?: number; untilMs?: number }): string | null {
  if (guard.untilMs !== undefined) return time(guard.untilMs);
  return guard.withinMs === undefined || guard.withinMs === CANCEL_WITHIN_MS ? null : duration(guard.withinMs);
}

function concurrencyOf(task: TaskRecord): object[] {
  const own = task.limits.filter(({ rate }) => rate === undefined);
  if (own.length === 0) return [{ scope: 'ACCOUNT', limit: { value: PLAN_LIMIT, isPlanLimit: true }, key: null }];
  return own.map(({ key, max, expression }) => ({
    scope: key.endsWith('/account') ? 'ACCOUNT' : key.endsWith('/env') ? 'ENVIRONMENT' : 'FUNCTION',
    limit: { value: max, isPlanLimit: false },
    key: expression ?? null,
  }));
}

function throttleOf(task: TaskRecord): object | null {
  const limit = task.limits.find(({ rate }) => rate !== undefined);
  if (!limit?.rate) return null;
  const { max, periodMs, burst = max } = limit.rate;
  return { limit: max, period: duration(periodMs), burst: burst - max, key: limit.expression ?? null };
}

/** `90m` is "1h30m". */
function duration(ms: number): string {
  let left = ms;
  let text = '';
  for (const [letter, unit] of UNITS) {
    const whole = Math.floor(left / unit);
    if (whole > 0) text += `${whole}${letter}`;
    left -= whole * unit;
  }
  return left > 0 ? `${text}${left}ms` : text === '' ? '0s' : text;
}

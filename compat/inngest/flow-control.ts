import { UNBOUNDED } from '../../core/model/limit.ts';
import type { LimitTemplate } from '../../core/model/task.ts';
import { parseDurationMs } from './duration.ts';
import { checkExpression, invalid } from './invalid-function.ts';
import type { ConcurrencyOption, FunctionConfig } from './schema.ts';

const SECOND_MS = 1_000;
/** Inngest documentation: guides/throttling. */
const MAX_THROTTLE_PERIOD_MS = 7 * 86_400_000;

/** What bounds a function's calls. Throws InngestError 400, which names the function and the field. */
export function toLimits(config: FunctionConfig): LimitTemplate[] {
  return [...concurrencyOf(config), ...throttleOf(config)];
}

function concurrencyOf(config: FunctionConfig): LimitTemplate[] {
  const { concurrency } = config;
  if (concurrency === undefined || concurrency === null) return [];
  if (typeof concurrency === 'number') return limitsOf(config, [{ limit: concurrency }], 'call');
  if (Array.isArray(concurrency)) return limitsOf(config, concurrency, 'call');
  const { fn, step } = concurrency as { fn?: ConcurrencyOption[] | null; step?: ConcurrencyOption[] | null };
  if (fn || step) return [...limitsOf(config, fn ?? [], 'run'), ...limitsOf(config, step ?? [], 'call')];
  return limitsOf(config, [concurrency as ConcurrencyOption], 'call');
}

/**
 * A limit of the environment or the account is shared by every function whose key has the same value, whatever its expression
 * (inngest/inngest: pkg/inngest/concurrency.go, the hash of scope and value); each function goes by its own number. 0 is no limit.
 */
function limitsOf(config: FunctionConfig, options: ConcurrencyOption[], hold: 'call' | 'run'): LimitTemplate[] {
  return options
    .filter(({ limit }) => limit > 0)
    .map(({ limit, key, scope }) => {
      const isShared = scope === 'env' || scope === 'account';
      if (isShared && !key) throw invalid(config, `"concurrency" of scope "${scope}" needs a key`);
      checkExpression(config, 'concurrency.key', key);
      const owner = isShared ? scope : `fn/${config.id}${key ? `/${key}` : ''}`;
      return {
        key: `inngest/${hold}/${owner}`,
        max: limit,
        hold,
        ...(key ? { expression: key } : {}),
        ...(isShared ? { own: true as const } : {}),
      };
    });
}

/**
 * How many runs begin in a period: asked when a run's first call is to go, later calls are free. `limit + burst` at once, then one every
 * `period / limit` (inngest/inngest: pkg/constraintapi/lua/acquire.lua). What is beyond waits its turn.
 */
function throttleOf(config: FunctionConfig): LimitTemplate[] {
  const { throttle } = config;
  if (!throttle) return [];
  const periodMs = throttle.period === '' ? null : parseDurationMs(throttle.period);
  if (periodMs === null)
    throw invalid(config, `"${throttle.period}" of "throttle.period" is no duration such as 30s, 5m or 1h`);
  if (periodMs < SECOND_MS || periodMs > MAX_THROTTLE_PERIOD_MS)
    throw invalid(config, `"throttle.period" must lie between 1s and 7d, not "${throttle.period}"`);
  checkExpression(config, 'throttle.key', throttle.key);
  const max = Math.max(1, throttle.limit);
  return [
    {
      key: `inngest/throttle/${config.id}`,
      max: UNBOUNDED,
      hold: 'call',
      rate: {
        max,
        periodMs: Math.floor(periodMs / SECOND_MS) * SECOND_MS,
        shape: 'gcra',
        burst: max + (throttle.burst ?? 0),
        takes: 'first-call',
      },
      ...(throttle.key ? { expression: throttle.key } : {}),
    },
  ];
}

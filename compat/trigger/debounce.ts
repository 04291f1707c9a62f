import type { Admission } from '../../core/model/task.ts';
import { parseNaturalDuration } from './durations.ts';
import { ApiError } from './errors.ts';
import { TAG_PREFIX } from './names.ts';
import type { RunMeta } from './run-meta.ts';
import type { TriggerOptions } from './schema.ts';

/** trigger.dev: the least delay of a debounce. */
const MIN_DELAY_MS = 1_000;

/** What a later trigger of the same key brings to the run that waits, where it is of mode `trailing` and says it. */
export type Trailing = Pick<Partial<RunMeta>, 'payloadType' | 'metadata' | 'machine' | 'maxAttempts' | 'maxDuration'>;

/**
 * A trigger's `debounce`: while the run of this key is delayed, further triggers of the task put it off and answer its id. Beyond the
 * greatest delay since the first, another run begins; without one it is put off for as long as triggers come (@trigger.dev/core: TriggerOptions).
 * `firstDueAt`: of the trigger's own `delay`, which is the first run's. @throws ApiError for a delay that is no duration, and for one that the greatest leaves no room to put off by
 */
export function debounceOf(
  debounce: NonNullable<TriggerOptions['debounce']>,
  task: string,
  firstDueAt: number | undefined,
  trailing: Trailing,
): Extract<Admission, { kind: 'debounce' }> {
  const isTrailing = debounce.mode === 'trailing';
  const delayMs = durationMs('debounce.delay', debounce.delay);
  const maxDelayMs = debounce.maxDelay === undefined ? undefined : durationMs('debounce.maxDelay', debounce.maxDelay);
  if (maxDelayMs !== undefined && maxDelayMs <= delayMs)
    throw new ApiError(
      'invalid',
      `debounce.maxDelay (${debounce.maxDelay}) must be longer than debounce.delay (${debounce.delay}): with these every trigger would start a run of its own`,
    );
  return {
    kind: 'debounce',
    key: `trigger/debounce/${task}/${debounce.key}`,
    delayMs,
    ...(maxDelayMs === undefined ? {} : { maxDelayMs }),
    ...(firstDueAt === undefined ? {} : { firstDueAt }),
    atMax: 'renew',
    keep: isTrailing ? 'last' : 'first',
    ...(isTrailing ? { patch: JSON.stringify(trailing), labelPrefix: TAG_PREFIX } : {}),
  };
}

function durationMs(field: string, value: string): number {
  const ms = parseNaturalDuration(value);
  if (ms === null || ms < MIN_DELAY_MS)
    throw new ApiError(
      'invalid',
      `Invalid ${field}: "${value}" is no duration of a second or more such as 5s, 10m or 1h`,
    );
  return ms;
}

import type { Admission } from '../../core/model/task.ts';
import { parseNaturalDuration } from './durations.ts';
import { ApiError } from './errors.ts';
import { TAG_PREFIX } from './names.ts';
import type { RunMeta } from './run-meta.ts';
import type { TriggerOptions } from './schema.ts';

/** trigger.dev: the least delay of a debounce, and RUN_ENGINE_MAXIMUM_DEBOUNCE_DURATION_MS where the trigger says nothing. */
const MIN_DELAY_MS = 1_000;
const DEFAULT_MAX_DELAY_MS = 3_600_000;

/** What a later trigger of the same key brings to the run that waits, where it is of mode `trailing` and says it. */
export type Trailing = Pick<Partial<RunMeta>, 'payloadType' | 'metadata' | 'machine' | 'maxAttempts' | 'maxDuration'>;

/**
 * A trigger's `debounce`: while the run of this key is delayed, further triggers of the task put it off and answer its id. Beyond the
 * greatest delay since the first, another run begins. @throws ApiError for a delay that is no duration
 */
export function debounceOf(
  debounce: NonNullable<TriggerOptions['debounce']>,
  task: string,
  trailing: Trailing,
): Extract<Admission, { kind: 'debounce' }> {
  const isTrailing = debounce.mode === 'trailing';
  return {
    kind: 'debounce',
    key: `trigger/debounce/${task}/${debounce.key}`,
    delayMs: durationMs('debounce.delay', debounce.delay),
    maxDelayMs:
      debounce.maxDelay === undefined ? DEFAULT_MAX_DELAY_MS : durationMs('debounce.maxDelay', debounce.maxDelay),
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

import * as z from 'zod';
import { compileExpression, isPlain } from '../../core/events/expression/index.ts';
import type { Admission, Guards, TaskSpec } from '../../core/model/task.ts';
import { MAX_WAIT_MS, parseDurationMs, parseMoment } from './duration.ts';
import type { InngestError } from './errors.ts';
import { checkExpression, invalid } from './invalid-function.ts';
import { explain } from './schema.ts';

/** Fields of a function that say whether, when and with what its runs start, and what ends them. */
export const POLICY_FIELDS = [
  'batchEvents',
  'cancel',
  'debounce',
  'idempotency',
  'priority',
  'rateLimit',
  'singleton',
  'timeouts',
] as const;

const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;
const MAX_TEXT_CHARS = 4_096;
/** inngest/inngest: pkg/consts MaxCancellations, MaxDebouncePeriod, PriorityFactorMax. */
const MAX_CANCELLATIONS = 5;
const MAX_DEBOUNCE_MS = 7 * DAY_MS;
const MAX_PRIORITY_MS = 12 * 3_600_000;
/** A debounced run begins so much after its period, so that whoever counts from the acknowledgement of an event sees a whole one (inngest/inngest: pkg/execution/debounce). */
export const DEBOUNCE_BUFFER_MS = 1_050;
/** inngest/inngest: pkg/consts DefaultBatchSizeLimit, DefaultBatchTimeout, and the most bytes that a batch takes. */
const DEFAULT_BATCH_SIZE = 100;
const DEFAULT_BATCH_WAIT = '60s';
const MAX_BATCH_SIZE = 10_000;
const MAX_BATCH_BYTES = 10 * 1_048_576;
/** A wait for a cancelling event lasts a year where nothing else is said. */
export const CANCEL_WITHIN_MS = 365 * DAY_MS;

const text = z.string().max(MAX_TEXT_CHARS);
const optional = text.nullish();

const PoliciesSchema = z.looseObject({
  batchEvents: z
    .looseObject({ maxSize: z.number().int().nullish(), timeout: optional, key: optional, if: optional })
    .nullish(),
  cancel: z
    .array(z.looseObject({ event: text.min(1), if: optional, timeout: optional }))
    .max(MAX_CANCELLATIONS)
    .nullish(),
  debounce: z.looseObject({ period: text, timeout: optional, key: optional }).nullish(),
  idempotency: optional,
  priority: z.looseObject({ run: optional }).nullish(),
  rateLimit: z.looseObject({ limit: z.number().int().min(1), period: text, key: optional }).nullish(),
  singleton: z.looseObject({ mode: z.enum(['skip', 'cancel']), key: optional }).nullish(),
  timeouts: z.looseObject({ start: optional, finish: optional }).nullish(),
});
type Policies = z.infer<typeof PoliciesSchema>;

export type TaskPolicies = Pick<TaskSpec, 'admit' | 'guards' | 'priority'>;

/** What a function's policies mean to the engine. Throws InngestError 400, which names the function and the field. */
export function toPolicies(functionId: string, config: unknown): TaskPolicies {
  const reader = new Reader(functionId);
  const parsed = PoliciesSchema.safeParse(config);
  if (!parsed.success) throw reader.invalid(explain(parsed.error));
  const policies = parsed.data;
  refuseCombinations(reader, policies);
  // In the order in which they are asked (inngest/inngest: pkg/execution/executor schedule): a batch asks for no rate.
  const admit = [
    ...batchOf(reader, policies),
    ...rateOf(reader, policies),
    ...debounceOf(reader, policies),
    ...singletonOf(reader, policies),
  ];
  const guards = guardsOf(reader, policies);
  const run = reader.expression('priority.run', policies.priority?.run);
  return {
    ...(admit.length === 0 ? {} : { admit }),
    ...(guards === null ? {} : { guards }),
    ...(run === undefined ? {} : { priority: { expression: run, unitMs: SECOND_MS, maxMs: MAX_PRIORITY_MS } }),
  };
}

class Reader {
  readonly functionId: string;

  constructor(functionId: string) {
    this.functionId = functionId;
  }

  invalid(why: string): InngestError {
    return invalid({ id: this.functionId }, why);
  }

  durationMs(field: string, value: string, { minMs, maxMs }: { minMs: number; maxMs: number }): number {
    const ms = value === '' ? null : parseDurationMs(value);
    if (ms === null) throw this.invalid(`"${value}" of "${field}" is no duration such as 30s, 5m or 1h`);
    if (ms < minMs || ms > maxMs)
      throw this.invalid(`"${field}" must lie between ${spoken(minMs)} and ${spoken(maxMs)}, not "${value}"`);
    return ms;
  }

  expression(field: string, value: string | null | undefined): string | undefined {
    if (!value) return undefined;
    checkExpression({ id: this.functionId }, field, value);
    return value;
  }

  /** What is counted: the function's own, by the value of the key where there is one. */
  key(kind: string, field: string, value: string | null | undefined): { key: string; expression?: string } {
    const expression = this.expression(field, value);
    return { key: `inngest/${kind}/${this.functionId}`, ...(expression === undefined ? {} : { expression }) };
  }
}

function spoken(ms: number): string {
  return ms % DAY_MS === 0 ? `${ms / DAY_MS}d` : `${ms / SECOND_MS}s`;
}

/** A batch's run has no one event that could decide the rest (inngest/inngest: pkg/inngest Function.Validate). */
function refuseCombinations(reader: Reader, { batchEvents, cancel, debounce, singleton, priority }: Policies): void {
  if (!batchEvents) return;
  const others: Array<[string, unknown]> = [
    ['cancelOn', cancel?.length],
    ['debounce', debounce],
    ['singleton', singleton],
    ['priority.run', priority?.run],
  ];
  for (const [name, given] of others)
    if (given) throw reader.invalid(`"batchEvents" cannot be combined with "${name}"`);
}

function batchOf(reader: Reader, { batchEvents }: Policies): Admission[] {
  if (!batchEvents) return [];
  const size = batchEvents.maxSize ?? DEFAULT_BATCH_SIZE;
  if (size < 2 || size > MAX_BATCH_SIZE)
    throw reader.invalid(`"batchEvents.maxSize" must lie between 2 and ${MAX_BATCH_SIZE}, not ${size}`);
  const timeout = batchEvents.timeout ?? DEFAULT_BATCH_WAIT;
  // The vendor reads this one by Go's own parser, which knows neither days nor weeks.
  if (/[dw]/.test(timeout))
    throw reader.invalid(`"${timeout}" of "batchEvents.timeout" is no duration such as 30s or 1h`);
  const onlyIf = reader.expression('batchEvents.if', batchEvents.if);
  return [
    {
      kind: 'batch',
      ...reader.key('batch', 'batchEvents.key', batchEvents.key),
      size,
      waitMs: reader.durationMs('batchEvents.timeout', timeout, { minMs: SECOND_MS, maxMs: MAX_WAIT_MS }),
      maxBytes: MAX_BATCH_BYTES,
      ...(onlyIf === undefined ? {} : { onlyIf }),
    },
  ];
}

/** Idempotency is a rate of one a day by that key, and takes the place of any other rate. */
function rateOf(reader: Reader, { idempotency, rateLimit }: Policies): Admission[] {
  if (idempotency) {
    return [{ kind: 'once', ...reader.key('once', 'idempotency', idempotency), ttlMs: DAY_MS }];
  }
  if (!rateLimit) return [];
  const periodMs = reader.durationMs('rateLimit.period', rateLimit.period, { minMs: SECOND_MS, maxMs: DAY_MS });
  // Evenly spaced but for a tenth of them (inngest/inngest: pkg/execution/ratelimit, burst = limit / 10).
  const burst = Math.floor(rateLimit.limit / 10) + 1;
  const bound = { max: rateLimit.limit, periodMs, shape: 'gcra' as const, burst };
  return [{ kind: 'rate', ...reader.key('rate', 'rateLimit.key', rateLimit.key), bound }];
}

function debounceOf(reader: Reader, { debounce }: Policies): Admission[] {
  if (!debounce) return [];
  const delayMs = reader.durationMs('debounce.period', debounce.period, { minMs: SECOND_MS, maxMs: MAX_DEBOUNCE_MS });
  const maxDelayMs = debounce.timeout
    ? reader.durationMs('debounce.timeout', debounce.timeout, { minMs: SECOND_MS, maxMs: MAX_WAIT_MS })
    : undefined;
  return [
    {
      kind: 'debounce',
      ...reader.key('debounce', 'debounce.key', debounce.key),
      delayMs: delayMs + DEBOUNCE_BUFFER_MS,
      atMax: 'hold',
      keep: 'last',
      ...(maxDelayMs === undefined ? {} : { maxDelayMs: maxDelayMs + DEBOUNCE_BUFFER_MS }),
    },
  ];
}

function singletonOf(reader: Reader, { singleton }: Policies): Admission[] {
  if (!singleton) return [];
  const taken = singleton.mode === 'cancel' ? 'replace' : 'skip';
  return [{ kind: 'single', ...reader.key('singleton', 'singleton.key', singleton.key), taken }];
}

/** How long, or until when: the SDK takes dates too. */
function cancelTime(reader: Reader, field: string, text: string): { withinMs: number } | { untilMs: number } {
  if (parseDurationMs(text) === null && parseMoment(text, 0) !== null) return { untilMs: Date.parse(text) };
  return { withinMs: reader.durationMs(field, text, { minMs: 0, maxMs: MAX_WAIT_MS }) };
}

function guardsOf(reader: Reader, { cancel, timeouts, batchEvents }: Policies): Guards | null {
  const within = { minMs: 0, maxMs: MAX_WAIT_MS };
  const cancelOn = (cancel ?? []).map(({ event, if: condition, timeout }, i) => {
    const field = `cancelOn[${i}].if`;
    const expression = reader.expression(field, condition);
    const compiled = expression === undefined ? null : compileExpression(expression);
    if (compiled?.ok && !isPlain(compiled.expression))
      throw reader.invalid(
        `the expression of "${field}" may only compare fields of "event" and "async": no functions, macros or arithmetic`,
      );
    return {
      name: event,
      ...(timeout ? cancelTime(reader, `cancelOn[${i}].timeout`, timeout) : { withinMs: CANCEL_WITHIN_MS }),
      ...(expression === undefined ? {} : { expression }),
    };
  });
  const start = timeouts?.start ? reader.durationMs('timeouts.start', timeouts.start, within) : undefined;
  const finish = timeouts?.finish ? reader.durationMs('timeouts.finish', timeouts.finish, within) : undefined;
  const guards: Guards = {
    ...(cancelOn.length === 0 ? {} : { cancelOn }),
    // A batch has waited already (inngest/inngest: pkg/execution/executor schedule).
    ...(start === undefined || batchEvents ? {} : { startWithinMs: start }),
    ...(finish === undefined ? {} : { finishWithinMs: finish }),
  };
  return Object.keys(guards).length === 0 ? null : guards;
}

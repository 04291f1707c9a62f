import type { ResultOf } from '../../core/model/command.ts';
import type { RunRecord } from '../../core/model/query.ts';
import type { CellApi } from '../../core/ports.ts';
import { canonicalJson } from './canonical.ts';
import type { KnownFunction } from './apps.ts';
import { visibleSteps } from './defers.ts';
import { InngestError } from './errors.ts';
import { invokedEvent, MAX_EVENT_BYTES } from './events.ts';
import { hashedStepId } from './hex.ts';
import { newEventId } from './ids.ts';
import { FUNCTION_INVOKED } from './names.ts';
import { EVENT_INPUT_META, readRunMeta } from './run-meta.ts';
import { readMeta } from './step-meta.ts';

/** An invocation with a key is made once in this time. */
const INVOKE_KEY_MS = 86_400_000;

export interface Invoked {
  event: string;
  run: string;
  createdAt: number;
  /** The key had been used: this is the run it was used for. */
  known: boolean;
}

/**
 * Starts a function from outside. `listed`: its event can be asked for by id, as one that was sent. Throws InngestError.
 * `payload`: an event's data, user and meta.
 */
export async function invokeFunction(
  cell: CellApi,
  { task, fn }: KnownFunction,
  payload: unknown,
  options: { nowMs: number; listed: boolean; idempotencyKey?: string },
): Promise<Invoked> {
  const { nowMs, idempotencyKey } = options;
  const event = newEventId(nowMs);
  const body = invokedEvent(payload, { fn_id: fn.slug }, nowMs, event);
  if (body.length > MAX_EVENT_BYTES)
    throw new InngestError(413, 'event_too_large', `The event is larger than ${MAX_EVENT_BYTES} bytes.`);
  const dedupe =
    idempotencyKey === undefined
      ? {}
      : {
          dedupe: {
            key: `inngest/invoke/${task.id}/${idempotencyKey}`,
            // By the engine's clock, which a test may have moved.
            untilMs: (await cell.query({ type: 'clock' })).nowMs + INVOKE_KEY_MS,
          },
        };
  const results = await cell.apply(
    options.listed
      ? [
          { type: 'ingest', events: [{ id: event, name: FUNCTION_INVOKED, ts: nowMs, body }] },
          { type: 'start', spec: { task: task.id, input: null, eventIds: [event], ...dedupe } },
        ]
      : [{ type: 'start', spec: { task: task.id, input: body, meta: EVENT_INPUT_META, ...dedupe } }],
  );
  const started = results.at(-1) as ResultOf<'start'>;
  if (!options.listed && (started.outcome === 'dropped' || started.outcome === 'skipped'))
    throw new InngestError(
      422,
      `function_${started.outcome}`,
      `Function "${fn.slug}" was not started: its flow control says so.`,
    );
  return { event, run: started.run, createdAt: started.createdAt, known: started.deduplicated };
}

export interface FromStep {
  /** The app's own id of a step, the name it shows, or its hash. */
  step: string;
  /** A list of arguments as JSON text, for a step that takes some. */
  input?: string;
}

/** Starts a run anew from its event, or from one of its steps. Throws InngestError. */
export async function rerunRun(cell: CellApi, run: RunRecord, from: FromStep | null): Promise<string> {
  if (!from) {
    const [result] = await cell.apply([{ type: 'rerun', run: run.id, from: 'start' }]);
    return (result as ResultOf<'rerun'>).run;
  }
  const key = await stepKeyOf(cell, run, from.step);
  const meta = from.input === undefined ? null : withInput(run, key, from.input);
  const [result] = await cell.apply([
    { type: 'rerun', run: run.id, from: { key }, ...(meta === null ? {} : { overrides: { meta } }) },
  ]);
  return (result as ResultOf<'rerun'>).run;
}

async function stepKeyOf(cell: CellApi, run: RunRecord, named: string): Promise<string> {
  const detail = await cell.query({ type: 'run-detail', run: run.id });
  const hashed = await hashedStepId(named);
  const known = [...visibleSteps(detail?.steps ?? []), ...(detail?.pending ?? [])];
  const byKey = known.find(({ key }) => key === named || key === hashed);
  const byName = known.filter(({ meta }) => meta !== null && readMeta(meta).n === named);
  if (byKey) return byKey.key;
  if (byName.length === 1) return byName[0]?.key as string;
  if (byName.length > 1)
    throw new InngestError(
      400,
      'ambiguous_step',
      `The run has ${byName.length} steps named "${named}": use the step's id.`,
    );
  // A step at which the run failed at once has left nothing but its hash.
  if (run.status !== 'running' && /^[0-9a-f]{40}$/.test(named)) return named;
  throw new InngestError(404, 'unknown-step', `The run has no step "${named}".`);
}

/** The SDK takes a step's arguments as a list. */
function withInput(run: RunRecord, key: string, input: string): string {
  let value: unknown;
  try {
    value = JSON.parse(input);
  } catch {
    throw new InngestError(400, 'invalid_request', 'The input of the step is not valid JSON.');
  }
  const text = canonicalJson(Array.isArray(value) ? value : [value]);
  const meta = readRunMeta(run.meta);
  return JSON.stringify({ ...meta, i: { ...meta.i, [key]: text } });
}

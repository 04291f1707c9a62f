import { MAIN } from '../../core/model/call.ts';
import type { EndEffects, EndedRun, LapsedCall, OrphanedCall, Outcome } from '../../core/model/call.ts';
import type { EventInput } from '../../core/model/event.ts';
import type { Translator } from '../../core/ports.ts';
import { canonicalJson, canonicalObject } from './canonical.ts';
import { eventsOf, nameIn, textOf } from './events.ts';
import { NO_RETRY_META, runFailure } from './failure.ts';
import { deferredEvents } from './defers.ts';
import { readFunctionData } from './function-data.ts';
import type { FunctionData } from './function-data.ts';
import { FUNCTION_CANCELLED, FUNCTION_FAILED, FUNCTION_FINISHED } from './names.ts';

const STATUS = { completed: 'Completed', failed: 'Failed', cancelled: 'Cancelled' } as const;
/** Runs that one of these started tell nothing of their own end: no loops. */
const GUARDED = new Set([FUNCTION_FINISHED, FUNCTION_FAILED, FUNCTION_CANCELLED]);

/** Workers that one attempt of a call may take down with it. */
const MAX_LAPSES = 3;

export const inngestTranslator: Translator = { ended, lapsed, orphaned };

/** A run of a function that its app does not tell any more ends when it is to go on: nobody could. */
function orphaned(run: OrphanedCall): Outcome {
  const { slug } = readFunctionData(run.task.data);
  return runFailure(
    'FunctionRemovedError',
    `The function "${slug}" was removed from its app while this run was under way.`,
  );
}

/** A worker was lost with a call in hand. Another tries the same attempt; where that happens again and again, the call is to blame. */
function lapsed(call: LapsedCall): Outcome | null {
  if (call.lapses < MAX_LAPSES) return null;
  const message = `The worker stopped responding, ${call.lapses} times in this attempt`;
  const error = canonicalJson({ message, name: 'Error' });
  const step =
    call.key === MAIN ? {} : { memoKey: call.key, ...(call.callMeta === null ? {} : { meta: call.callMeta }) };
  return { ops: [{ op: 'fail', error, retry: 'policy', ...step }] };
}

/** The events that follow a run's end. */
function ended(run: EndedRun): EndEffects {
  // It was never made: the vendor lists it, and tells nobody.
  if (run.reason === 'skipped') return {};
  const outcome = run.status === 'failed' ? FUNCTION_FAILED : run.status === 'cancelled' ? FUNCTION_CANCELLED : null;
  const fn = readFunctionData(run.task.data);
  const deferred = deferredEvents(run.steps, { ...run, ...fn, run: run.run });
  const told = tellEnd(run, fn, outcome);
  return deferred.length + told.length === 0 ? {} : { events: [...told, ...deferred] };
}

function tellEnd(run: EndedRun, fn: FunctionData, outcome: string | null): EventInput[] {
  // Nobody listens: then nothing is built, for this happens at each end.
  if (outcome === null && !run.listens(FUNCTION_FINISHED)) return [];
  const origin = eventsOf({ ...run, crons: fn.crons, jitter: fn.jitter });
  if (origin[0] !== undefined && GUARDED.has(nameIn(origin[0]))) return [];
  const data = canonicalObject([
    ['_inngest', `{"status":"${STATUS[run.status]}"}`],
    ['correlation_id', run.parent ? JSON.stringify(`${run.parent.run}.${run.parent.key}`) : undefined],
    ['error', run.status === 'failed' ? toldError(run) : undefined],
    ['event', origin[0]],
    ['events', `[${origin.join(',')}]`],
    ['function_id', JSON.stringify(fn.slug)],
    ['result', run.status === 'completed' ? (run.output === null ? 'null' : textOf(run.output)) : undefined],
    ['run_id', JSON.stringify(run.run)],
  ]);
  const events = [event(FUNCTION_FINISHED, data, run, true)];
  if (outcome !== null) events.unshift(event(outcome, data, run, false));
  return events;
}

/** The error as handlers of failures get it: `error`, `name` and `message` are always there (inngest/inngest: pkg/execution/state StandardError). */
function toldError(run: EndedRun): string {
  const given = run.error === null ? null : parsed(textOf(run.error));
  const known = typeof given === 'object' && given !== null && !Array.isArray(given) ? given : {};
  const error = run.outcomeMeta === NO_RETRY_META ? 'NonRetriableError' : 'Function execution error';
  return canonicalJson({
    error,
    name: 'Error',
    message: given === null ? 'The run failed' : known === given ? error : textOf(run.error ?? ''),
    ...known,
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function event(name: string, data: string, run: EndedRun, transient: boolean): EventInput {
  const body = `{"data":${data},"id":${JSON.stringify(run.run)},"name":"${name}","ts":${run.endedAt},"user":{}}`;
  return { name, ts: run.endedAt, body, transient };
}

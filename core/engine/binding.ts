import type { EventRecord } from '../model/event.ts';
import type { Payload } from '../model/payload.ts';
import { bindEvent, compileExpression, type Expression, type JsonValue } from '../events/expression/index.ts';

/**
 * Replaces the fields of the run's first event by their values, so that only the arriving event is open. The bound expression is kept
 * with the wait as JSON text (`readBound`).
 */
export function bindExpression(
  source: string,
  eventBody: string | null,
): { ok: true; bound: string } | { ok: false; message: string } {
  const compiled = compileExpression(source);
  if (!compiled.ok)
    return { ok: false, message: `the expression "${source}" cannot be read: ${compiled.error.message}` };
  const result = bindEvent(compiled.expression, eventBody === null ? null : (JSON.parse(eventBody) as JsonValue));
  return result.ok
    ? { ok: true, bound: JSON.stringify(result.expression) }
    : { ok: false, message: result.error.message };
}

export function readBound(bound: string): Expression {
  return JSON.parse(bound) as Expression;
}

/** What an expression calls `event`: the run's first event or, of a run that was started without one, its input where that is JSON. */
export function eventTextOf(events: readonly EventRecord[] | null, input: Payload | null): string | null {
  const first = events?.[0];
  if (first) return first.body;
  if (typeof input !== 'string') return null;
  try {
    JSON.parse(input);
    return input;
  } catch {
    return null;
  }
}

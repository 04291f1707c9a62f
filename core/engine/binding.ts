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

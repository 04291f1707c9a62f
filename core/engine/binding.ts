import type { EventRecord } from '../model/event.ts';
import type { Payload } from '../model/payload.ts';
import {
  bindEvent,
  compileExpression,
  evaluate,
  type Expression,
  isTrue,
  type JsonValue,
} from '../events/expression/index.ts';

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

/** Texts that were read lately: many waits have the same, where nothing of their own event is in it. */
const READ = new Map<string, Expression>();
const MAX_READ = 200;

export function readBound(bound: string): Expression {
  const known = READ.get(bound);
  if (known) return known;
  const expression = JSON.parse(bound) as Expression;
  if (READ.size >= MAX_READ) READ.clear();
  READ.set(bound, expression);
  return expression;
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

/** Evaluates the expressions that name what a start is counted under. They see `event` as `eventTextOf` has it, parsed once and only when asked. */
export class KeyReader {
  readonly #nowMs: number;
  readonly #text: () => string | null;
  #event: { value: JsonValue } | null | undefined;

  constructor(nowMs: number, text: () => string | null) {
    this.#nowMs = nowMs;
    this.#text = text;
  }

  #inputs(): { event?: JsonValue; nowMs: number } {
    if (this.#event === undefined) {
      const text = this.#text();
      this.#event = text === null ? null : { value: JSON.parse(text) as JsonValue };
    }
    return { ...(this.#event ? { event: this.#event.value } : {}), nowMs: this.#nowMs };
  }

  /** Undefined when it cannot be evaluated, or has no JSON. */
  value(expression: string): JsonValue | undefined {
    const compiled = compileExpression(expression);
    const result = compiled.ok ? evaluate(compiled.expression, this.#inputs()) : null;
    return result?.ok ? result.value : undefined;
  }

  isTrue(expression: string): boolean {
    const compiled = compileExpression(expression);
    return compiled.ok && isTrue(compiled.expression, this.#inputs());
  }

  /** The value as the text that is counted. One that cannot be evaluated still counts: all such share one key. */
  text(expression: string): string {
    const value = this.value(expression);
    return value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);
  }

  /** A name that no other key or value makes. */
  name({ key, expression }: { key: string; expression?: string }): string {
    return `${key.length}:${key}${expression === undefined ? '' : `:${this.text(expression)}`}`;
  }

  isFalse({ expression }: { expression?: string }): boolean {
    return expression !== undefined && this.value(expression) === false;
  }
}

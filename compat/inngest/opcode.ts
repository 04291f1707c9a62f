import type { Again, LeasedCall } from '../../core/model/call.ts';
import { canonicalJson } from './canonical.ts';
import { writeMeta } from './step-meta.ts';
import type { StepMeta } from './step-meta.ts';

/** One operation as an SDK reports it. Members of no interest here are left alone. */
export interface Opcode {
  op: string;
  id: string;
  name?: unknown;
  displayName?: unknown;
  data?: unknown;
  error?: unknown;
  opts?: unknown;
  metadata?: unknown;
  userland?: unknown;
}

export interface Reply {
  /** `x-inngest-req-version`; 1 when the SDK says nothing. */
  version: number;
  noRetry: boolean;
  /** From `retry-after`: not before. */
  retryAt: number | null;
  /** The engine's time at which the reply arrived. */
  nowMs: number;
}

/** What an operation is translated in: the call that it answers, and what it came with. */
export interface OpcodeContext {
  call: LeasedCall;
  reply: Reply;
  group: boolean;
  again: Again;
}

/** Ends the run without a retry. */
export class Refusal {
  readonly name: string;
  readonly message: string;
  /** The whole error, where it is more than name and message. */
  readonly more: object;
  constructor(name: string, message: string, more: object = {}) {
    this.name = name;
    this.message = message;
    this.more = more;
  }

  static of(error: { name: string; message: string }): Refusal {
    return new Refusal(error.name, error.message, error);
  }
}

/** What the Go SDK puts beside its operations, without an id, when it gives a call back before the function has ended (inngestgo: internal/sdkrequest). */
const NOTHING = 'None';

/** Reads the operations of an answer or of a checkpoint; those that say nothing are left out. Null: not a list of operations. */
export function readOpcodes(value: unknown): Opcode[] | null {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  const all = list.every((item): item is Opcode => {
    if (typeof item !== 'object' || item === null) return false;
    const { op, id } = item as Partial<Opcode>;
    if (op === NOTHING) return true;
    return typeof op === 'string' && typeof id === 'string' && id !== '' && id.length <= 256;
  });
  return all ? (list as Opcode[]).filter(({ op }) => op !== NOTHING) : null;
}

/** A step that was planned already follows its plan; a step that ran at once is followed by what its group says. */
export function againOf(call: LeasedCall, key: string, again: Again): Again | undefined {
  return call.key === key ? undefined : again;
}

export function metaOf(opcode: Opcode, context: OpcodeContext, more: StepMeta = {}): string {
  const name = textOf(opcode.displayName) ?? textOf(opcode.name);
  const plain =
    opcode.op === 'StepRun' || opcode.op === 'StepPlanned' || opcode.op === 'StepFailed' || opcode.op === 'StepError';
  const inGroup = context.reply.version === 1 && (context.group || context.call.callMeta?.includes('"p":1'));
  return writeMeta({
    ...(plain ? {} : { o: opcode.op }),
    ...(name ? { n: name } : {}),
    v: context.reply.version,
    ...(inGroup ? { p: 1 } : {}),
    ...more,
  });
}

export function errorOf(opcode: Opcode): string {
  const { error } = opcode;
  return typeof error === 'object' && error !== null
    ? canonicalJson(error)
    : errorText(typeof error === 'string' ? error : 'The step failed without saying why');
}

export function errorText(message: string): string {
  return canonicalJson({ message, name: 'Error' });
}

export function valueText(value: unknown): string {
  return value === undefined ? 'null' : canonicalJson(value);
}

export function nameOf(opcode: Opcode): string {
  return textOf(opcode.displayName) ?? textOf(opcode.name) ?? opcode.id;
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export function optionOf(opcode: Opcode, key: string): unknown {
  const { opts } = opcode;
  return typeof opts === 'object' && opts !== null ? (opts as Record<string, unknown>)[key] : undefined;
}

export function textOption(opcode: Opcode, key: string): string | undefined {
  return textOf(optionOf(opcode, key));
}

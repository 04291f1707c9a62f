import { compileExpression } from '../../core/events/expression/index.ts';
import { MAIN } from '../../core/model/call.ts';
import type { Again, CallSpec, LeasedCall, Op, Outcome } from '../../core/model/call.ts';
import { canonicalJson } from './canonical.ts';
import { MAX_WAIT_MS, parseMoment } from './duration.ts';
import { EVENT_INPUT_META, invokedEvent } from './events.ts';
import { readFunctionData } from './function-data.ts';
import { RUN_COMPLETE_ID, taskIdOf, tokenOf } from './names.ts';
import { stateSize } from './request.ts';
import { failure, runFailure } from './failure.ts';
import { writeMeta } from './step-meta.ts';
import type { StepMeta } from './step-meta.ts';

/** Operations of one answer, and steps of one run (inngest/inngest: pkg/consts DefaultMaxStepLimit). */
const MAX_STEPS = 1_000;
/** Result of one step: 4 MiB. */
const MAX_STEP_OUTPUT = 4 * 1_048_576;
/** Results of all steps of a run: 32 MiB. */
const MAX_STATE = 32 * 1_048_576;
/** An invocation without a timeout waits for a year. */
const INVOKE_TIMEOUT = '365d';

/** One operation as an SDK reports it. Members of no interest here are left alone. */
export interface Opcode {
  op: string;
  id: string;
  name?: unknown;
  displayName?: unknown;
  data?: unknown;
  error?: unknown;
  opts?: unknown;
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

/** Reads the operations of an answer or of a checkpoint. Null: not a list of operations. */
export function readOpcodes(value: unknown): Opcode[] | null {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  const all = list.every((item): item is Opcode => {
    if (typeof item !== 'object' || item === null) return false;
    const { op, id } = item as Partial<Opcode>;
    return typeof op === 'string' && typeof id === 'string' && id !== '' && id.length <= 256;
  });
  return all ? (list as Opcode[]) : null;
}

/** Turns an app's operations into the engine's. */
export function translateOpcodes(call: LeasedCall, opcodes: Opcode[], reply: Reply): Outcome {
  if (opcodes.length > MAX_STEPS || call.steps.length + opcodes.length > MAX_STEPS + 1) {
    return runFailure('InngestErrFunctionOverflowed', `the run has more than ${MAX_STEPS} steps`);
  }
  const group = opcodes.length > 1;
  // Version 2 discovers once, after the last planned step of a group; a race after each (inngest/inngest: ShouldCoalesceParallelism).
  const coalesce = group && reply.version >= 2 && opcodes.some((opcode) => opcode.op === 'StepPlanned');
  const ops: Op[] = [];
  const last: Op[] = [];
  const planned: CallSpec[] = [];
  let added = 0;
  for (const opcode of opcodes) {
    const again: Again = coalesce && optionOf(opcode, 'parallelMode') !== 'race' ? 'last' : 'each';
    const context: Context = { call, reply, group, again };
    const translated = translateOne(opcode, context);
    if (translated instanceof Refusal) return runFailure(translated.name, translated.message);
    if (translated.op === 'step') {
      const size = translated.data?.length ?? 0;
      if (size > MAX_STEP_OUTPUT)
        return runFailure(
          'InngestErrStepOutputTooLarge',
          `the result of step "${nameOf(opcode)}" is larger than ${MAX_STEP_OUTPUT} bytes`,
        );
      added += size;
    }
    if (translated.op === 'complete' || translated.op === 'fail') last.push(translated);
    // An event wait stands before the operations whose effects it waits for.
    else if (translated.op === 'wait-event') ops.unshift(translated);
    else if (translated.op === 'plan') planned.push(...translated.calls);
    else ops.push(translated);
  }
  // One entry of the history for the whole group.
  if (planned.length > 0) ops.push({ op: 'plan', calls: planned });
  if (added > 0 && added + stateSize(call) > MAX_STATE)
    return runFailure('InngestErrStateOverflowed', `the results of all steps are larger than ${MAX_STATE} bytes`);
  // A call for one step that says nothing of it leaves it undone.
  if (last.length === 0 && !answers(call, ops))
    return failure(errorText(`The app did not answer for step "${call.key}"`), reply);
  return { ops: [...ops, ...last] };
}

function answers(call: LeasedCall, ops: Op[]): boolean {
  if (call.key === MAIN) return ops.length > 0 || call.pending.length > 0;
  return ops.some((op) => 'key' in op && op.key === call.key);
}

interface Context {
  call: LeasedCall;
  reply: Reply;
  group: boolean;
  again: Again;
}

/** Ends the run without a retry. */
class Refusal {
  readonly name: string;
  readonly message: string;
  constructor(name: string, message: string) {
    this.name = name;
    this.message = message;
  }
}

function translateOne(opcode: Opcode, context: Context): Op | Refusal {
  const { call, reply, again } = context;
  const key = opcode.id;
  switch (opcode.op) {
    case 'StepRun':
    case 'Step':
      return {
        op: 'step',
        key,
        data: valueText(opcode.data),
        meta: metaOf(opcode, context),
        again: againOf(call, key, again),
      };
    case 'StepFailed':
      if (key === RUN_COMPLETE_ID) return { op: 'fail', error: errorOf(opcode), retry: 'never' };
      return {
        op: 'step',
        key,
        data: errorOf(opcode),
        error: true,
        meta: metaOf(opcode, context),
        again: againOf(call, key, again),
      };
    case 'StepError': {
      const retry = reply.noRetry ? 'never' : reply.retryAt === null ? 'policy' : { at: reply.retryAt };
      if (key === RUN_COMPLETE_ID) return { op: 'fail', error: errorOf(opcode), retry };
      return { op: 'fail', error: errorOf(opcode), retry, memoKey: key, meta: metaOf(opcode, context) };
    }
    case 'StepPlanned':
      return { op: 'plan', calls: [{ key, again, meta: metaOf(opcode, context) }] };
    case 'Sleep':
      return sleep(opcode, context);
    case 'WaitForEvent':
      return waitForEvent(opcode, context);
    case 'InvokeFunction':
      return invoke(opcode, context);
    case 'WaitForSignal':
      return waitForSignal(opcode, context);
    case 'RunComplete':
    case 'SyncRunComplete':
      return { op: 'complete', output: valueText(opcode.data) };
    case 'DiscoveryRequest':
      return { op: 'again' };
    case 'AIGateway':
    case 'Gateway':
    case 'DeferAdd':
    case 'DeferAbort':
      return new Refusal('NotImplementedError', `${opcode.op} (${nameOf(opcode)}) is not served by this server yet`);
    default:
      return {
        op: 'fail',
        error: errorText(`The app answered with the unknown operation "${opcode.op}"`),
        retry: 'policy',
      };
  }
}

/** A step that was planned already follows its plan; a step that ran at once is followed by what its group says. */
function againOf(call: LeasedCall, key: string, again: Again): Again | undefined {
  return call.key === key ? undefined : again;
}

function sleep(opcode: Opcode, context: Context): Op | Refusal {
  const text = textOption(opcode, 'duration') ?? textOf(opcode.name) ?? '';
  const untilMs = parseMoment(text, context.reply.nowMs);
  if (untilMs === null)
    return new Refusal(
      'Error',
      `step "${nameOf(opcode)}" sleeps for "${text}", which is neither a duration nor a date`,
    );
  if (untilMs - context.reply.nowMs > MAX_WAIT_MS) return tooLong(opcode);
  return { op: 'sleep', key: opcode.id, untilMs, meta: metaOf(opcode, context), again: context.again };
}

function waitForEvent(opcode: Opcode, context: Context): Op | Refusal {
  const name = textOption(opcode, 'event') ?? textOf(opcode.name);
  if (!name) return new Refusal('Error', `step "${nameOf(opcode)}" waits for an event without a name`);
  const untilMs = timeoutOf(opcode, context.reply.nowMs, '');
  if (untilMs instanceof Refusal) return untilMs;
  const expression = textOption(opcode, 'if');
  const compiled = expression ? compileExpression(expression) : null;
  if (compiled && !compiled.ok)
    return new Refusal('Error', `step "${nameOf(opcode)}" waits with an invalid expression: ${compiled.error.message}`);
  return {
    op: 'wait-event',
    key: opcode.id,
    name,
    untilMs,
    meta: metaOf(opcode, context),
    again: context.again,
    ...(expression ? { expression } : {}),
  };
}

function invoke(opcode: Opcode, context: Context): Op | Refusal {
  const { call, reply } = context;
  const slug = textOption(opcode, 'function_id');
  if (!slug) return new Refusal('Error', `step "${nameOf(opcode)}" invokes a function without an id`);
  const untilMs = timeoutOf(opcode, reply.nowMs, INVOKE_TIMEOUT);
  if (untilMs instanceof Refusal) return untilMs;
  const caller = readFunctionData(call.task.data);
  const source = {
    correlation_id: `${call.run}.${opcode.id}`,
    expire: untilMs,
    fn_id: slug,
    name: '',
    source_app_id: caller.appId,
    source_fn_id: caller.id,
    source_fn_v: call.task.version,
  };
  const input = invokedEvent(optionOf(opcode, 'payload'), source, reply.nowMs);
  return {
    op: 'wait-run',
    key: opcode.id,
    untilMs,
    meta: metaOf(opcode, context),
    again: context.again,
    start: { task: taskIdOf(slug), input, meta: EVENT_INPUT_META },
  };
}

function waitForSignal(opcode: Opcode, context: Context): Op | Refusal {
  const signal = textOption(opcode, 'signal');
  if (!signal) return new Refusal('Error', `step "${nameOf(opcode)}" waits for a signal without a name`);
  const untilMs = timeoutOf(opcode, context.reply.nowMs, '');
  if (untilMs instanceof Refusal) return untilMs;
  return {
    op: 'wait-token',
    key: opcode.id,
    token: tokenOf(signal),
    exclusive: textOption(opcode, 'conflict') === 'replace' ? 'replace' : 'fail',
    untilMs,
    meta: metaOf(opcode, context, { s: signal }),
    again: context.again,
  };
}

function timeoutOf(opcode: Opcode, nowMs: number, absent: string): number | Refusal {
  const text = textOption(opcode, 'timeout') ?? absent;
  const untilMs = parseMoment(text, nowMs);
  if (untilMs === null)
    return new Refusal(
      'Error',
      `step "${nameOf(opcode)}" has the timeout "${text}", which is neither a duration nor a date`,
    );
  return untilMs - nowMs > MAX_WAIT_MS ? tooLong(opcode) : untilMs;
}

function tooLong(opcode: Opcode): Refusal {
  return new Refusal('Error', `step "${nameOf(opcode)}" waits for more than 366 days`);
}

function metaOf(opcode: Opcode, context: Context, more: StepMeta = {}): string {
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

function errorOf(opcode: Opcode): string {
  const { error } = opcode;
  return typeof error === 'object' && error !== null
    ? canonicalJson(error)
    : errorText(typeof error === 'string' ? error : 'The step failed without saying why');
}

function errorText(message: string): string {
  return canonicalJson({ message, name: 'Error' });
}

export function valueText(value: unknown): string {
  return value === undefined ? 'null' : canonicalJson(value);
}

export function nameOf(opcode: Opcode): string {
  return textOf(opcode.displayName) ?? textOf(opcode.name) ?? opcode.id;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function optionOf(opcode: Opcode, key: string): unknown {
  const { opts } = opcode;
  return typeof opts === 'object' && opts !== null ? (opts as Record<string, unknown>)[key] : undefined;
}

function textOption(opcode: Opcode, key: string): string | undefined {
  return textOf(optionOf(opcode, key));
}

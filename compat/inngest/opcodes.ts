import { MAIN } from '../../core/model/call.ts';
import type { Again, CallSpec, LeasedCall, Op, Outcome } from '../../core/model/call.ts';
import { deferOps, isLazy, visibleSteps } from './defers.ts';
import { failure, limitFailure, runFailure } from './failure.ts';
import { readFunctionData } from './function-data.ts';
import { planGateway } from './gateway.ts';
import {
  functionOverflowed,
  MAX_STATE,
  MAX_STEP_OUTPUT,
  MAX_STEPS,
  stateOverflowed,
  stepOutputTooLarge,
} from './limits.ts';
import { RUN_COMPLETE_ID } from './names.ts';
import { againOf, errorOf, errorText, metaOf, nameOf, Refusal, textOption, valueText } from './opcode.ts';
import type { Opcode, OpcodeContext, Reply } from './opcode.ts';
import { invoke, sleep, waitForEvent, waitForSignal } from './opcode-waits.ts';
import { stateSize } from './request.ts';
import type { StepMeta } from './step-meta.ts';
import { notesOf } from './step-notes.ts';

/** Operations that are no step. */
const ENDS: ReadonlySet<string> = new Set(['RunComplete', 'SyncRunComplete', 'RunError', 'DiscoveryRequest']);

/** Turns an app's operations into the engine's. */
export function translateOpcodes(call: LeasedCall, all: Opcode[], reply: Reply): Outcome {
  // What is deferred is kept before anything else, and is no part of a group.
  const first = deferOps(all, call.steps);
  const opcodes = all.filter((opcode) => !isLazy(opcode));
  const { maxSteps = MAX_STEPS, maxStateBytes = MAX_STATE } = readFunctionData(call.task.data);
  const steps = opcodes.filter(({ op }) => !ENDS.has(op)).length;
  if (all.length > MAX_STEPS || visibleSteps(call.steps).length + steps > maxSteps)
    return limitFailure(functionOverflowed(maxSteps));
  const group = opcodes.length > 1;
  // Version 2 discovers once, after the last planned step of a group; a race after each (inngest/inngest: ShouldCoalesceParallelism).
  const coalesce = group && reply.version >= 2 && opcodes.some((opcode) => opcode.op === 'StepPlanned');
  const ops: Op[] = [];
  const last: Op[] = [];
  const planned: CallSpec[] = [];
  let added = 0;
  for (const opcode of opcodes) {
    const again: Again = coalesce && !isRace(opcode) ? 'last' : 'each';
    const context: OpcodeContext = { call, reply, group, again };
    const translated = translateOne(opcode, context);
    if (translated instanceof Refusal) return runFailure(translated.name, translated.message, translated.more);
    first.push(...notesOf(opcode));
    if (translated.op === 'step') {
      const size = translated.data?.length ?? 0;
      if (size > MAX_STEP_OUTPUT) return limitFailure(stepOutputTooLarge(nameOf(opcode)));
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
  if ((added > 0 || maxStateBytes < MAX_STATE) && added + stateSize(call) > maxStateBytes)
    return limitFailure(stateOverflowed(maxStateBytes));
  // A call for one step that says nothing of it leaves it undone, and one that tells nothing new leaves the run where it is.
  if (last.length === 0 && !answers(call, ops)) {
    const why =
      call.key === MAIN
        ? 'The app answered with nothing that this run has not done already'
        : `The app did not answer for step "${call.key}"`;
    const unanswered = failure(errorText(why), reply);
    return { ops: [...first, ...unanswered.ops] };
  }
  return { ops: [...first, ...ops, ...last] };
}

/** The SDKs write the mode each in its own case: Go says `Race`. */
function isRace(opcode: Opcode): boolean {
  return textOption(opcode, 'parallelMode')?.toLowerCase() === 'race';
}

/** Whether the run goes on by it: nothing else would ask for it again. */
function answers(call: LeasedCall, ops: Op[]): boolean {
  if (call.key !== MAIN) return ops.some((op) => op.op === 'step' && op.key === call.key);
  return call.pending.length > 0 || ops.some((op) => isNews(call, op));
}

/** What the run had done already when it called was told to the app with that call. */
function isNews({ steps }: LeasedCall, op: Op): boolean {
  if (op.op === 'again') return true;
  const keys = op.op === 'plan' ? op.calls.map(({ key }) => key) : 'key' in op ? [op.key] : [];
  return keys.some((key) => !steps.some((step) => step.key === key));
}

/** Which step an attempt of the discovery call belongs to. */
function failedStep(opcode: Opcode, call: LeasedCall): StepMeta {
  return call.key === MAIN ? { k: opcode.id } : {};
}

/** A step of the app's own may have the id of the run's end too, but has a name (inngest/inngest-js: stepIdCollision.test.ts). */
function isRunEnd({ id, name, displayName }: Opcode): boolean {
  return id === RUN_COMPLETE_ID && name === undefined && displayName === undefined;
}

function retryOf({ retryAt }: Reply): 'policy' | { at: number } {
  return retryAt === null ? 'policy' : { at: retryAt };
}

function translateOne(opcode: Opcode, context: OpcodeContext): Op | Refusal {
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
      if (isRunEnd(opcode)) return { op: 'fail', error: errorOf(opcode), retry: 'never' };
      return {
        op: 'step',
        key,
        data: errorOf(opcode),
        error: true,
        meta: metaOf(opcode, context),
        again: againOf(call, key, again),
      };
    case 'StepError': {
      const retry = reply.noRetry ? 'never' : retryOf(reply);
      if (isRunEnd(opcode)) return { op: 'fail', error: errorOf(opcode), retry };
      return {
        op: 'fail',
        error: errorOf(opcode),
        retry,
        memoKey: key,
        meta: metaOf(opcode, context, failedStep(opcode, call)),
      };
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
    // An attempt of the function itself that failed, told beside what it deferred; the answer's own header says nothing of retries then
    // (inngest/inngest-js: packages/inngest/src/test/integration/retryAfterError.test.ts).
    case 'RunError': {
      const isFinal = reply.noRetry || (opcode.error as { noRetry?: unknown } | null | undefined)?.noRetry === true;
      return { op: 'fail', error: errorOf(opcode), retry: isFinal ? 'never' : retryOf(reply) };
    }
    case 'DiscoveryRequest':
      return { op: 'again' };
    case 'AIGateway':
    case 'Gateway':
      return planGateway(opcode, context);
    default:
      return {
        op: 'fail',
        error: errorText(`The app answered with the unknown operation "${opcode.op}"`),
        retry: 'policy',
      };
  }
}

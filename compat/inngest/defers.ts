import type { Op, StepEntry } from '../../core/model/call.ts';
import type { EventInput } from '../../core/model/event.ts';
import type { JsonText, Payload } from '../../core/model/payload.ts';
import { canonicalJson, canonicalObject } from './canonical.ts';
import { textOf } from './events.ts';
import { derivedUlid } from './ids.ts';
import { DEFERRED_SCHEDULE } from './names.ts';
import { optionOf, textOption } from './opcode.ts';
import type { Opcode } from './opcode.ts';
import { mergeSessions } from './sessions.ts';
import { readMeta, writeMeta } from './step-meta.ts';

/** Deferred runs of one run, and their inputs together (inngest/inngest: pkg/consts, 20 and 4 MiB). What is beyond is left out: it never fails the run. */
const MAX_DEFERS = 20;
const MAX_DEFER_BYTES = 4 * 1_048_576;

const ADD = '$defer/';
const ABORT = '$abort/';
/** How a lazy operation's step is told from the others without reading its meta: step-meta.ts writes the opcode first. */
const MARK = '{"o":"Defer';

interface Deferred {
  fn_slug: string;
  input?: unknown;
  meta?: unknown;
}

/** What `defer()` reports: kept as a step, so that it is kept once, and read again when the run ends. Such steps are not the app's. */
export function isLazy(opcode: Opcode): boolean {
  return opcode.op === 'DeferAdd' || opcode.op === 'DeferAbort';
}

/** Operations of the lazy ones among these, as far as the run's bounds allow. `steps`: what the run has already. */
export function deferOps(opcodes: readonly Opcode[], steps: readonly StepEntry[]): Op[] {
  const lazy = opcodes.filter(isLazy);
  if (lazy.length === 0) return [];
  const known = new Map(steps.filter((step) => step.key.startsWith(ADD)).map((step) => [step.key, sizeOf(step)]));
  const ops: Op[] = [];
  for (const opcode of lazy) {
    if (opcode.op === 'DeferAbort') {
      const target = textOption(opcode, 'target_hashed_id');
      if (target) ops.push(kept(ABORT + target, null, opcode));
      continue;
    }
    const slug = textOption(opcode, 'fn_slug');
    if (!slug || known.has(ADD + opcode.id)) continue;
    const deferred: Deferred = { fn_slug: slug, input: optionOf(opcode, 'input'), meta: optionOf(opcode, 'meta') };
    const data = canonicalJson(deferred);
    const size = [...known.values()].reduce((sum, one) => sum + one, data.length);
    if (known.size >= MAX_DEFERS || size > MAX_DEFER_BYTES) continue;
    known.set(ADD + opcode.id, data.length);
    ops.push(kept(ADD + opcode.id, data, opcode));
  }
  return ops;
}

function kept(key: string, data: JsonText | null, opcode: Opcode): Op {
  const given = opcode.userland as { id?: unknown } | null | undefined;
  const id = [given?.id, opcode.displayName].find((one) => typeof one === 'string');
  const name = id === undefined ? {} : { n: id };
  return { op: 'step', key, data, meta: writeMeta({ o: opcode.op, ...name }), again: 'none' };
}

function sizeOf(step: StepEntry): number {
  return step.data?.length ?? 0;
}

/** The steps that the app knows of. The same list where nothing was deferred, which is nearly always. */
export function visibleSteps(steps: readonly StepEntry[]): readonly StepEntry[] {
  return steps.some(isHidden) ? steps.filter((step) => !isHidden(step)) : steps;
}

function isHidden(step: StepEntry): boolean {
  return step.meta?.startsWith(MARK) === true;
}

/** `defers` of a request: what was deferred before, so that the app does not say it again. */
export function defersOf(steps: readonly StepEntry[]): JsonText {
  const added = steps.filter((step) => step.key.startsWith(ADD) && isHidden(step));
  if (added.length === 0) return '{}';
  const aborted = abortedOf(steps);
  return canonicalObject(
    added.map((step) => {
      const id = step.key.slice(ADD.length);
      return [id, `{"abortable":${!aborted.has(id)}}`] as const;
    }),
  );
}

function abortedOf(steps: readonly StepEntry[]): Set<string> {
  return new Set(steps.filter((step) => step.key.startsWith(ABORT)).map((step) => step.key.slice(ABORT.length)));
}

/** The events that start what was deferred, once its run has ended, however. */
export function deferredEvents(
  steps: readonly StepEntry[],
  parent: { run: string; slug: string; id: string; appId: string; endedAt: number },
): EventInput[] {
  if (!steps.some(isHidden)) return [];
  const aborted = abortedOf(steps);
  return steps.flatMap((step) => {
    const id = step.key.slice(ADD.length);
    if (!step.key.startsWith(ADD) || aborted.has(id) || step.data === null) return [];
    const { fn_slug: slug, input, meta } = JSON.parse(textOf(step.data)) as Deferred;
    const given = typeof input === 'object' && input !== null && !Array.isArray(input) ? input : {};
    const data = {
      ...given,
      _inngest: {
        fn_slug: slug,
        parent_app_id: parent.appId,
        parent_fn_id: parent.id,
        parent_fn_slug: parent.slug,
        parent_run_id: parent.run,
      },
    };
    const body = canonicalObject([
      ['data', canonicalJson(data)],
      ['id', JSON.stringify(`${parent.run}.${id}`)],
      ['meta', sessionsOf(meta)],
      ['name', JSON.stringify(DEFERRED_SCHEDULE)],
      ['ts', String(parent.endedAt)],
      ['user', '{}'],
    ]);
    const eventId = deferEventId(parent.run, id, parent.endedAt);
    return [{ id: eventId, name: DEFERRED_SCHEDULE, ts: parent.endedAt, body }];
  });
}

/** The id of the event that starts what a run has deferred, so that the run it started is found. */
export function deferEventId(run: string, id: string, endedAtMs: number): string {
  return derivedUlid(endedAtMs, `${run}.${id}`);
}

/** What a run has deferred so far. */
export interface DeferredStep {
  /** Hashed id, as the SDK made it. */
  id: string;
  name: string;
  slug: string;
  aborted: boolean;
}

/** By id, as the vendor lists them. */
export function deferredOf(steps: readonly StepEntry[]): DeferredStep[] {
  const aborted = abortedOf(steps);
  return steps
    .filter((step) => step.key.startsWith(ADD) && isHidden(step) && step.data !== null)
    .map((step) => {
      const id = step.key.slice(ADD.length);
      const { fn_slug: slug } = JSON.parse(textOf(step.data as Payload)) as Deferred;
      return { id, name: readMeta(step.meta).n ?? id, slug, aborted: aborted.has(id) };
    })
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** A run's end never fails: sessions that are not as they should be are left out. */
function sessionsOf(meta: unknown): JsonText | undefined {
  try {
    return mergeSessions(meta);
  } catch {
    return undefined;
  }
}

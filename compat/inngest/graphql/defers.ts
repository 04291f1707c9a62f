import type { RunFacts } from '../../../core/model/query.ts';
import { pickFunction } from '../apps.ts';
import type { KnownFunction } from '../apps.ts';
import { deferEventId, deferredOf } from '../defers.ts';
import type { DeferredStep } from '../defers.ts';
import { DEFERRED_SCHEDULE } from '../names.ts';
import { originEvents } from '../read.ts';
import type { Reader } from './reader.ts';

/** How runs and functions are shown. */
export interface Show {
  run(reader: Reader, run: RunFacts): object;
  fn(reader: Reader, known: KnownFunction): object;
}

/** `FunctionRunV2.defers`: what a run has put off until its end, by id. */
export async function defersView(reader: Reader, run: RunFacts, show: Show): Promise<object[]> {
  const detail = await reader.cell.query({ type: 'run-detail', run: run.id });
  return deferredOf(detail?.steps ?? []).map((deferred) => deferView(reader, run, deferred, show));
}

/** `FunctionRunV2.siblingDefers`: what else the run has put off that put off this one. */
export async function siblingDefersView(reader: Reader, run: RunFacts, show: Show): Promise<object[]> {
  const parent = await parentOf(reader, run);
  if (parent === null) return [];
  const detail = await reader.cell.query({ type: 'run-detail', run: parent.id });
  if (!detail) return [];
  const siblings: object[] = [];
  for (const deferred of deferredOf(detail.steps)) {
    const child = await childOf(reader, detail, deferred);
    if (child?.id !== run.id) siblings.push(deferView(reader, detail, deferred, show));
  }
  return siblings;
}

/** `FunctionRunV2.deferredFrom` */
export async function deferredFromView(reader: Reader, run: RunFacts, show: Show): Promise<object[]> {
  const parent = await parentOf(reader, run);
  if (parent === null) return [];
  return [
    {
      runID: parent.id,
      function: async () => functionOf(reader, parent.slug, show),
      run: async () => {
        const found = await reader.cell.query({ type: 'run', run: parent.id });
        return found && show.run(reader, found);
      },
    },
  ];
}

function deferView(reader: Reader, parent: RunFacts, deferred: DeferredStep, show: Show): object {
  return {
    hashedDeferID: deferred.id,
    userlandDeferID: deferred.name,
    fnSlug: deferred.slug,
    status: deferred.aborted ? 'ABORTED' : 'SCHEDULED',
    function: () => functionOf(reader, deferred.slug, show),
    runID: async () => (await childOf(reader, parent, deferred))?.id ?? null,
    run: async () => {
      const child = await childOf(reader, parent, deferred);
      return child && show.run(reader, child);
    },
  };
}

/** There is one as soon as the run has ended, and the function is there. */
async function childOf(reader: Reader, parent: RunFacts, deferred: DeferredStep): Promise<RunFacts | null> {
  if (parent.endedAt === null || deferred.aborted) return null;
  const event = deferEventId(parent.id, deferred.id, parent.endedAt);
  return (await reader.cell.query({ type: 'event-runs', event }))[0] ?? null;
}

async function functionOf(reader: Reader, slug: string, show: Show): Promise<object | null> {
  const found = pickFunction(await reader.functions(), null, slug);
  return found && show.fn(reader, found);
}

async function parentOf(reader: Reader, run: RunFacts): Promise<{ id: string; slug: string } | null> {
  const [origin] = await originEvents(reader.cell, run);
  if (origin === undefined) return null;
  const { name, data } = JSON.parse(origin) as { name?: string; data?: { _inngest?: Record<string, unknown> } };
  const { parent_run_id: id, parent_fn_slug: slug } = data?._inngest ?? {};
  if (name !== DEFERRED_SCHEDULE || typeof id !== 'string' || typeof slug !== 'string') return null;
  return { id, slug };
}

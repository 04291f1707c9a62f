import type { LeasedCall } from '../../../core/model/call.ts';
import type { CellApi } from '../../../core/ports.ts';
import { snapshot, type Snapshot } from '../engine-status.ts';
import { publicRunId } from '../ids.ts';
import { machineOf, type MachinePreset } from '../machines.ts';
import { COLLECTIONS, poolOf } from '../names.ts';
import { isRecord, parseJson } from '../packets.ts';
import { engineNow, open, readBody, requireProject, type RouteContext } from '../request.ts';
import { readRunMeta } from '../run-meta.ts';
import { DequeueBodySchema, MAX_SMALL_BODY_BYTES } from '../schema.ts';
import { versionOfWorker } from '../versions.ts';

/** trigger.dev: DEV_DEQUEUE_MAX_RUNS_PER_PULL */
const MAX_RUNS = 10;
/** A run that was handed out and not started in this time is handed out again (trigger.dev: PENDING_EXECUTING stall). */
const START_WITHIN_MS = 60_000;
/** The worker's client gives up after 300 s; a dead worker's held request may swallow a run, so much shorter. */
const HOLD_OPEN_MS = 8_000;

/** POST /engine/v1/dev/dequeue — held open until a run is ready. */
export async function dequeue(c: RouteContext): Promise<Response> {
  const call = await open(c);
  const { cell } = call;
  const { currentWorker } = await readBody(c, DequeueBodySchema, MAX_SMALL_BODY_BYTES);
  const project = await requireProject(c, call);
  const calls = await cell.lease({
    pool: poolOf(project),
    max: MAX_RUNS,
    holdMs: START_WITHIN_MS,
    waitMs: HOLD_OPEN_MS,
    holder: currentWorker,
  });
  if (c.req.raw.signal.aborted && calls.length > 0) {
    // Nobody is there any more: give the runs back at once.
    const untilMs = (await engineNow(c, cell)) + 1;
    await cell.apply(calls.map(({ run, lease }) => ({ type: 'extend' as const, run, lease, untilMs })));
    return c.json({ dequeuedMessages: [] });
  }
  return c.json({
    dequeuedMessages: await Promise.all(
      calls.map(async (leased) => dequeuedMessage(leased, await workerFor(cell, project, leased, currentWorker))),
    ),
  });
}

interface WorkerRef {
  id: string;
  version: string;
}

/** Runs go to the newest build, except those that are tied to their parent's. */
async function workerFor(cell: CellApi, project: string, leased: LeasedCall, current: string): Promise<WorkerRef> {
  const newest = { id: current, version: versionOfWorker(current) ?? '' };
  const { lockToVersion } = readRunMeta(leased.meta);
  if (lockToVersion === undefined || lockToVersion === newest.version) return newest;
  const record = await cell.query({
    type: 'record',
    collection: COLLECTIONS.workers,
    id: `${project}/${lockToVersion}`,
  });
  const worker = record === null ? null : parseJson(record.data);
  return isRecord(worker) && typeof worker.id === 'string' ? { id: worker.id, version: lockToVersion } : newest;
}

export interface DequeuedMessage {
  version: '1';
  snapshot: Snapshot;
  dequeuedAt: string;
  completedWaitpoints: never[];
  backgroundWorker: { id: string; friendlyId: string; version: string };
  deployment: Record<string, never>;
  run: {
    id: string;
    friendlyId: string;
    isTest: boolean;
    isReplay: boolean;
    machine: MachinePreset;
    attemptNumber: number;
    masterQueue: string;
    traceContext: Record<string, string>;
  };
  environment: { id: string; type: 'DEVELOPMENT' };
  organization: { id: string };
  project: { id: string };
}

/** @trigger.dev/core: v3/schemas/runEngine.ts DequeuedMessage */
export function dequeuedMessage(leased: LeasedCall, worker: WorkerRef): DequeuedMessage {
  const meta = readRunMeta(leased.meta);
  const id = publicRunId(leased.run);
  return {
    version: '1',
    snapshot: snapshot(
      { seq: leased.seq, attempt: leased.attempt, lease: leased.lease },
      'PENDING_EXECUTING',
      leased.leasedAt,
      'Run was dequeued for execution',
    ),
    dequeuedAt: new Date(leased.leasedAt).toISOString(),
    completedWaitpoints: [],
    backgroundWorker: { id: worker.id, friendlyId: worker.id, version: worker.version },
    deployment: {},
    run: {
      id,
      friendlyId: id,
      isTest: meta.test ?? false,
      isReplay: false,
      machine: machineOf(meta.machine),
      attemptNumber: leased.attempt + 1,
      masterQueue: 'main',
      traceContext: meta.traceContext ?? {},
    },
    environment: { id: 'env_default', type: 'DEVELOPMENT' },
    organization: { id: 'org_default' },
    project: { id: leased.task.id },
  };
}

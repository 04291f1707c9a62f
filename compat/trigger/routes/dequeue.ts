import type { LeasedCall } from '../../../core/model/call.ts';
import { subjectOf } from '../environment-keys.ts';
import { snapshot, type Snapshot } from '../engine-status.ts';
import { holdOpen } from '../hold-open.ts';
import { publicRunId } from '../ids.ts';
import { machineOf, type MachinePreset } from '../machines.ts';
import { poolOf } from '../names.ts';
import { open, readBody, requireProject, type RouteContext } from '../request.ts';
import { readAttemptMeta, readRunMeta, readTaskData, type EnvironmentType } from '../run-meta.ts';
import { DequeueBodySchema, MAX_SMALL_BODY_BYTES } from '../schema.ts';

/** trigger.dev: DEV_DEQUEUE_MAX_RUNS_PER_PULL */
const MAX_RUNS = 10;
/** A run that was handed out and not started in this time is handed out again (trigger.dev: PENDING_EXECUTING stall). */
export const START_WITHIN_MS = 60_000;
/** The worker's client gives up after 300 s. */
const HOLD_OPEN_MS = 20_000;

/** POST /engine/v1/dev/dequeue — held open until a run is ready. */
export async function dequeue(c: RouteContext): Promise<Response> {
  const call = await open(c);
  const { cell } = call;
  const { currentWorker } = await readBody(c, DequeueBodySchema, MAX_SMALL_BODY_BYTES);
  const project = await requireProject(c, call);
  const environmentId = subjectOf(c.get('host').context.environment);
  const take = async (waitMs: number): Promise<LeasedCall[]> =>
    cell.lease({ pool: poolOf(project), max: MAX_RUNS, holdMs: START_WITHIN_MS, waitMs, holder: currentWorker });
  const render = (calls: LeasedCall[]): string =>
    JSON.stringify({ dequeuedMessages: calls.map((leased) => dequeuedMessage(leased, environmentId)) });
  const { response, done } = holdOpen(cell, () => take(HOLD_OPEN_MS), render);
  // A worker that goes away ends this request; what it would have got must be given back all the same.
  c.get('host').waitUntil(done);
  return response;
}

export interface DequeuedMessage {
  version: '1';
  snapshot: Snapshot;
  dequeuedAt: string;
  completedWaitpoints: never[];
  backgroundWorker: { id: string; friendlyId: string; version: string };
  deployment: { id?: string; friendlyId?: string };
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
  environment: { id: string; type: EnvironmentType };
  organization: { id: string };
  project: { id: string };
}

/** @trigger.dev/core: v3/schemas/runEngine.ts DequeuedMessage */
export function dequeuedMessage(leased: LeasedCall, environmentId: string, deploymentId?: string): DequeuedMessage {
  const meta = readRunMeta(leased.meta);
  // The build to which this lease has tied the run, or an earlier one.
  const { workerId, version, environmentType } = readTaskData(leased.task.data);
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
    backgroundWorker: { id: workerId, friendlyId: workerId, version },
    deployment: deploymentId === undefined ? {} : { id: deploymentId, friendlyId: deploymentId },
    run: {
      id,
      friendlyId: id,
      isTest: meta.test ?? false,
      isReplay: meta.replayOf !== undefined,
      machine: machineOf(readAttemptMeta(leased.callMeta).machine ?? meta.machine),
      attemptNumber: leased.attempt + 1,
      masterQueue: 'main',
      traceContext: meta.traceContext ?? {},
    },
    environment: { id: environmentId, type: environmentType },
    organization: { id: 'org_default' },
    project: { id: leased.task.id },
  };
}

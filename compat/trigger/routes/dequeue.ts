import type { LeasedCall } from '../../../core/model/call.ts';
import { snapshot, type Snapshot } from '../engine-status.ts';
import { publicRunId } from '../ids.ts';
import { machineOf, type MachinePreset } from '../machines.ts';
import { poolOf } from '../names.ts';
import { open, readBody, requireProject, type RouteContext } from '../request.ts';
import { readAttemptMeta, readRunMeta, readTaskData, type EnvironmentType } from '../run-meta.ts';
import { DequeueBodySchema, MAX_SMALL_BODY_BYTES } from '../schema.ts';

/** trigger.dev: DEV_DEQUEUE_MAX_RUNS_PER_PULL */
const MAX_RUNS = 10;
/** A run that was handed out and not started in this time is handed out again (trigger.dev: PENDING_EXECUTING stall). */
const START_WITHIN_MS = 60_000;
/** The worker's client gives up after 300 s. */
const HOLD_OPEN_MS = 20_000;
/** How often an open request is looked at for whether its worker is still there. */
const TICK_MS = 250;
/** Time for the news of a closed connection to arrive: at once on the same machine. */
const PROBE_MS = 3;
const BLANK = new TextEncoder().encode(' ');

/** POST /engine/v1/dev/dequeue — held open until a run is ready. */
export async function dequeue(c: RouteContext): Promise<Response> {
  const call = await open(c);
  const { cell } = call;
  const { currentWorker } = await readBody(c, DequeueBodySchema, MAX_SMALL_BODY_BYTES);
  const project = await requireProject(c, call);
  const take = async (waitMs: number): Promise<LeasedCall[]> =>
    cell.lease({ pool: poolOf(project), max: MAX_RUNS, holdMs: START_WITHIN_MS, waitMs, holder: currentWorker });
  const render = (calls: LeasedCall[]): string =>
    JSON.stringify({ dequeuedMessages: calls.map((leased) => dequeuedMessage(leased)) });
  const giveBack = async (calls: LeasedCall[]): Promise<void> => {
    await cell.apply(calls.map(({ run, lease }) => ({ type: 'extend' as const, run, lease, untilMs: 0 })));
  };
  const { body, done } = holdOpen(() => take(HOLD_OPEN_MS), render, giveBack);
  // A worker that goes away ends this request; what it would have got must be given back all the same.
  c.get('host').waitUntil(done);
  return new Response(body, { headers: { 'content-type': 'application/json' } });
}

/**
 * JSON that is preceded by blanks while there is nothing to say: only by writing does the platform find out that the client has gone,
 * and a run handed to nobody would wait for its lease to end.
 */
function holdOpen(
  take: () => Promise<LeasedCall[]>,
  render: (calls: LeasedCall[]) => string,
  giveBack: (calls: LeasedCall[]) => Promise<void>,
): { body: ReadableStream<Uint8Array>; done: Promise<void> } {
  const encoder = new TextEncoder();
  let gone = false;
  let done: Promise<void> = Promise.resolve();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const ticker = setInterval(() => {
        if (!gone) controller.enqueue(BLANK);
      }, TICK_MS);
      done = (async () => {
        // An engine that cannot answer now is asked again by the next request.
        const calls = await take().catch(() => []);
        clearInterval(ticker);
        // A last look before runs leave for somebody who may have gone since the last blank.
        if (calls.length > 0 && !gone) {
          controller.enqueue(BLANK);
          await pause(PROBE_MS);
        }
        if (gone) return calls.length > 0 ? giveBack(calls) : undefined;
        controller.enqueue(encoder.encode(render(calls)));
        controller.close();
      })();
    },
    cancel() {
      gone = true;
    },
  });
  return { body, done };
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
export function dequeuedMessage(leased: LeasedCall, deploymentId?: string): DequeuedMessage {
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
    environment: { id: 'env_default', type: environmentType },
    organization: { id: 'org_default' },
    project: { id: leased.task.id },
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

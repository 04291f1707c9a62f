import type { RunDetail } from '../../../core/model/query.ts';
import type { EnvironmentContext } from '../../../core/ports.ts';
import { seedMetadata } from '../api-status.ts';
import { secretKeyFor } from '../auth.ts';
import { BRANCH_HEADER, branchOf, subjectOf } from '../environment-keys.ts';
import { engineRun, snapshot } from '../engine-status.ts';
import { ApiError, staleSnapshot } from '../errors.ts';
import { parseSnapshotId, publicRunId } from '../ids.ts';
import { machineOf } from '../machines.ts';
import { readMetadata } from '../metadata-store.ts';
import { projectOf, slugOf, tagsOf } from '../names.ts';
import { engineNow, openEngine, param, runParam, type RouteContext } from '../request.ts';
import { readAttemptMeta, readRunMeta, readTaskData, slugOfType, type TaskData } from '../run-meta.ts';
import { queueIdOf } from '../queues.ts';
import { readVariables } from '../variables.ts';
import { machineNameOf, mainCallOf } from '../waitpoints.ts';
import { HEARTBEAT_TIMEOUT_MS } from './heartbeat.ts';
import { telemetryPath } from './otlp.ts';

/** POST /engine/v1/dev/runs/:run/snapshots/:snapshot/attempts/start */
export async function startAttempt(c: RouteContext): Promise<Response> {
  const { access, cell } = await openEngine(c);
  const run = runParam(c);
  const ref = parseSnapshotId(param(c, 'snapshot'));
  if (!ref?.lease) throw staleSnapshot();
  const { context } = c.get('host');
  const [nowMs, detail, metadata] = await Promise.all([
    engineNow(c, cell),
    cell.query({ type: 'run-detail', run }),
    readMetadata(cell, run),
  ]);
  if (!detail) throw new ApiError('not_found', 'Run not found');
  if (detail.cancelling) {
    await cell.apply([{ type: 'cancel', run }]);
    throw staleSnapshot();
  }
  const [[, reported], variables] = await Promise.all([
    cell.apply([
      { type: 'extend', run, lease: ref.lease, untilMs: nowMs + HEARTBEAT_TIMEOUT_MS },
      {
        type: 'report',
        run,
        lease: ref.lease,
        attempt: ref.attempt,
        final: false,
        outcome: { ops: [{ op: 'begin' }] },
      },
    ]),
    readVariables(cell, projectOf(detail.task), slugOfType(readTaskData(detail.taskData ?? '{}').environmentType)),
  ]);
  if (reported?.type !== 'report' || reported.result !== 'live') throw staleSnapshot();
  const id = publicRunId(run);
  const settings = readTaskData(detail.taskData ?? '{}');
  const meta = readRunMeta(detail.meta);
  return c.json({
    snapshot: snapshot(
      { seq: reported.seq, attempt: ref.attempt, lease: ref.lease },
      'EXECUTING',
      nowMs,
      'Attempt created, starting execution',
    ),
    run: engineRun(run, 'EXECUTING', ref.attempt + 1),
    execution: executionOf(detail, {
      settings,
      attempt: ref.attempt,
      nowMs,
      metadata: metadata ?? seedMetadata(meta),
      environmentId: subjectOf(context.environment),
      branch: branchOf(context.environment, c.req.header(BRANCH_HEADER)),
      queueId: await queueIdOf(projectOf(detail.task), meta.queue),
    }),
    envVars: {
      ...variables,
      ...(access.kind === 'worker' ? workerVariables(context, projectOf(detail.task), settings) : {}),
      TRIGGER_RUN_ID: id,
      TRIGGER_MACHINE_PRESET: machineOf(machineNameOf(detail)).name,
      TRIGGER_OTEL_EXPORTER_OTLP_ENDPOINT: `${context.serverUrl}${await telemetryPath(context)}`,
    },
  });
}

/** A deployed worker's task processes know nothing but what comes with the attempt. */
function workerVariables(
  context: EnvironmentContext,
  project: string,
  { environmentType }: TaskData,
): Record<string, string> {
  return {
    TRIGGER_API_URL: context.serverUrl,
    TRIGGER_SECRET_KEY: secretKeyFor(project, context, slugOfType(environmentType)),
    TRIGGER_PROJECT_REF: project,
  };
}

interface Execution {
  settings: TaskData;
  /** From 0. */
  attempt: number;
  nowMs: number;
  metadata: Record<string, unknown> | null;
  environmentId: string;
  branch: string | null;
  queueId: string;
}

/** @trigger.dev/core: v3/schemas/common.ts TaskRunExecution */
function executionOf(
  detail: RunDetail,
  { settings, attempt, nowMs, metadata, environmentId, branch, queueId }: Execution,
): Record<string, unknown> {
  const meta = readRunMeta(detail.meta);
  const project = projectOf(detail.task);
  // The worker counts by it, whatever a run before has left in its settings (trigger.dev: run-engine dequeueSystem).
  const maxAttempts = meta.maxAttempts ?? settings.maxAttempts;
  return {
    attempt: { number: attempt + 1, startedAt: iso(nowMs) },
    run: {
      id: publicRunId(detail.id),
      payload: typeof detail.input === 'string' ? detail.input : '',
      payloadType: meta.payloadType,
      tags: tagsOf(detail),
      isTest: meta.test ?? false,
      isReplay: meta.replayOf !== undefined,
      createdAt: iso(detail.createdAt),
      startedAt: iso(detail.startedAt ?? nowMs),
      durationMs: readAttemptMeta(mainCallOf(detail)?.meta).usedMs ?? 0,
      costInCents: 0,
      baseCostInCents: 0,
      traceContext: meta.traceContext ?? {},
      // Input streams ask for the second version. What a run writes is told the first when it is made (streams-write.ts): the second has a store of the vendor's.
      realtimeStreamsVersion: 'v2',
      ...(settings.version === '' ? {} : { version: settings.version }),
      ...(meta.idempotencyKey === undefined ? {} : { idempotencyKey: meta.idempotencyKey }),
      ...(meta.idempotencyKeyScope === undefined ? {} : { idempotencyKeyScope: meta.idempotencyKeyScope }),
      ...(maxAttempts === undefined ? {} : { maxAttempts }),
      ...(meta.maxDuration === undefined ? {} : { maxDuration: meta.maxDuration }),
      ...(meta.priority === undefined ? {} : { priority: meta.priority }),
      ...(meta.parentRun === undefined ? {} : { parentTaskRunId: publicRunId(meta.parentRun) }),
      ...(meta.rootRun === undefined ? {} : { rootTaskRunId: publicRunId(meta.rootRun) }),
      ...(meta.region === undefined ? {} : { region: meta.region }),
      ...(metadata === null ? {} : { metadata }),
    },
    task: {
      id: slugOf(detail.task),
      filePath: settings.filePath,
      ...(settings.exportName === undefined ? {} : { exportName: settings.exportName }),
    },
    queue: { id: queueId, name: meta.queue },
    environment: {
      id: environmentId,
      slug: slugOfType(settings.environmentType),
      type: settings.environmentType,
      ...(branch === null ? {} : { branchName: branch }),
    },
    organization: { id: 'org_default', slug: 'default', name: 'default' },
    project: { id: project, ref: project, slug: project, name: project },
    machine: machineOf(machineNameOf(detail)),
    ...(meta.batch === undefined ? {} : { batch: { id: meta.batch.id } }),
    ...(settings.deployment === undefined ? {} : { deployment: settings.deployment }),
  };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

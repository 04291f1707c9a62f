import { MAIN, type StepEntry } from '../../core/model/call.ts';
import type { JsonText, Payload } from '../../core/model/payload.ts';
import type { PendingRecord, RunDetail } from '../../core/model/query.ts';
import { publicRunId } from './ids.ts';
import { isRecord, JSON_TYPE, parseJson, type Packet } from './packets.ts';
import { readAttemptMeta, readOutcomeMeta, readRunMeta } from './run-meta.ts';
import { cancelledError, expiredError, parseTaskRunError, unreleasedError, type TaskRunError } from './task-errors.ts';

/** What a wait of a run remembers: how the worker will know it when it is over. */
export interface WaitMeta {
  type: 'DATETIME' | 'RUN' | 'MANUAL';
  /** Public id by which the worker waits; for a run the child's id counts. */
  id: string;
  /** Attempt (from 0) that waits: what an earlier attempt waited for does not concern a later one. */
  attempt: number;
  /** The item's place in its batch. */
  batch?: { id: string; index: number };
  completedAfterMs?: number;
  /** The item could not be triggered. */
  error?: string;
}

export function writeWaitMeta(meta: WaitMeta): JsonText {
  return JSON.stringify(meta);
}

function readWaitMeta(text: JsonText | null): WaitMeta | null {
  const value = text === null ? null : parseJson(text);
  return isRecord(value) && typeof value.id === 'string' && typeof value.attempt === 'number'
    ? (value as unknown as WaitMeta)
    : null;
}

/** @trigger.dev/core: v3/schemas/runEngine.ts CompletedWaitpoint */
export interface CompletedWaitpoint {
  id: string;
  friendlyId: string;
  type: 'DATETIME' | 'RUN' | 'MANUAL';
  index?: number;
  completedAt: string;
  completedAfter?: string;
  completedByTaskRun?: { id: string; friendlyId: string; batch?: { id: string; friendlyId: string } };
  output?: string;
  outputType?: string;
  outputIsError: boolean;
}

export function mainCallOf(detail: RunDetail): PendingRecord | undefined {
  return detail.pending.find((pending) => pending.key === MAIN);
}

/** The machine of the attempt that the run is at: its own, unless an attempt before ran out of memory. */
export function machineNameOf(detail: RunDetail): string | undefined {
  return readAttemptMeta(mainCallOf(detail)?.meta).machine ?? readRunMeta(detail.meta).machine;
}

export function hasOpenWaits(detail: RunDetail, attempt: number): boolean {
  return detail.pending.some((pending) => pending.kind !== 'call' && readWaitMeta(pending.meta)?.attempt === attempt);
}

/** Waits of this attempt that are over, oldest first. The worker takes each once, by its id. */
export function completedWaitpoints(detail: RunDetail, attempt: number): CompletedWaitpoint[] {
  const completed: CompletedWaitpoint[] = [];
  for (const step of detail.steps) {
    const meta = readWaitMeta(step.meta);
    if (meta?.attempt === attempt) completed.push(completedWaitpoint(step, meta));
  }
  return completed;
}

function completedWaitpoint(step: StepEntry, meta: WaitMeta): CompletedWaitpoint {
  const base = { id: meta.id, friendlyId: meta.id, type: meta.type, completedAt: new Date(step.atMs).toISOString() };
  switch (meta.type) {
    case 'DATETIME':
      return {
        ...base,
        ...(meta.completedAfterMs === undefined
          ? {}
          : { completedAfter: new Date(meta.completedAfterMs).toISOString() }),
        outputIsError: false,
      };
    case 'RUN': {
      const child = publicRunId(step.from?.run ?? '');
      const batch = meta.batch;
      return {
        ...base,
        ...(batch ? { index: batch.index } : {}),
        completedByTaskRun: {
          id: child,
          friendlyId: child,
          ...(batch ? { batch: { id: batch.id, friendlyId: batch.id } } : {}),
        },
        ...runResultOf(step, meta),
      };
    }
    case 'MANUAL':
      return { ...base, ...tokenResultOf(step, meta) };
  }
}

/** The child's output or its error as the parent's runtime reads it (@trigger.dev/core: sharedRuntimeManager waitpointToTaskRunExecutionResult). */
function runResultOf(
  step: StepEntry,
  { error }: WaitMeta,
): { output?: string; outputType?: string; outputIsError: boolean } {
  if (error !== undefined)
    return {
      output: JSON.stringify({ type: 'INTERNAL_ERROR', code: 'BATCH_ITEM_COULD_NOT_TRIGGER', message: error }),
      outputType: JSON_TYPE,
      outputIsError: true,
    };
  if (step.error)
    return {
      output: JSON.stringify(runErrorOf(step.data, step.from?.status ?? 'failed', step.from?.reason ?? null)),
      outputType: JSON_TYPE,
      outputIsError: true,
    };
  const { outputType = JSON_TYPE } = readOutcomeMeta(step.from?.meta);
  return { ...(typeof step.data === 'string' ? { output: step.data } : {}), outputType, outputIsError: false };
}

export function runErrorOf(error: Payload | null, status: string, reason: string | null, ttl?: string): TaskRunError {
  if (status === 'cancelled') return cancelledError(reason);
  if (reason === 'expired') return expiredError(ttl);
  if (reason === 'unreleased') return unreleasedError(error);
  return typeof error === 'string' ? parseTaskRunError(error) : { type: 'STRING_ERROR', raw: reason ?? 'Run failed' };
}

function tokenResultOf(
  step: StepEntry,
  meta: WaitMeta,
): { output?: string; outputType?: string; outputIsError: boolean } {
  if (step.source === 'timeout') return { ...timeoutOutput(meta.completedAfterMs ?? step.atMs), outputIsError: true };
  const packet = typeof step.data === 'string' ? readPacket(step.data) : { dataType: JSON_TYPE };
  return {
    ...(packet.data === undefined ? {} : { output: packet.data }),
    outputType: packet.dataType,
    outputIsError: step.error,
  };
}

/** What a token that nobody completed in time is completed with (@trigger.dev/core: v3/types waitpoint timeout). */
export function timeoutOutput(timeoutAtMs: number): { output: string; outputType: string } {
  return {
    output: JSON.stringify({
      code: 'TIMEOUT',
      message: `Waitpoint timed out at ${new Date(timeoutAtMs).toISOString()}`,
    }),
    outputType: JSON_TYPE,
  };
}

/** A token's value with its type, in one payload of the engine. */
export function writePacket(packet: Packet): string {
  return JSON.stringify(packet);
}

export function readPacket(text: string): Packet {
  const value = parseJson(text);
  if (!isRecord(value) || typeof value.dataType !== 'string') return { data: text, dataType: JSON_TYPE };
  return { ...(typeof value.data === 'string' ? { data: value.data } : {}), dataType: value.dataType };
}

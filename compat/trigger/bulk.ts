import type { StartSpec } from '../../core/model/call.ts';
import type { SweepRecord, SweepSpec } from '../../core/model/sweep.ts';
import type { CellApi, Translator } from '../../core/ports.ts';
import { MAX_SWEEP_RUNS } from '../../core/model/sweep.ts';
import { labelOf } from './names.ts';
import { isRecord, parseJson } from './packets.ts';
import { replaySpecOf } from './replay.ts';
import { readTaskData } from './run-meta.ts';
import { CANCEL_GRACE_MS } from './start-run.ts';

/** A bulk action is one sweep or several: each names up to MAX_SWEEP_RUNS runs. */
export interface BulkData {
  id: string;
  action: 'cancel' | 'replay';
  name?: string;
  region?: string;
  total: number;
}

const PART_DIGITS = 3;

export function bulkPrefixOf(project: string): string {
  return `trigger/${project}/bulk/`;
}

export function sweepsOf(project: string, data: BulkData, runs: readonly string[]): SweepSpec[] {
  const sweeps: SweepSpec[] = [];
  // One without runs is an action too, that has nothing to do.
  for (let i = 0; i === 0 || i < runs.length; i += MAX_SWEEP_RUNS) {
    const part = String(sweeps.length).padStart(PART_DIGITS, '0');
    sweeps.push({
      id: `${bulkPrefixOf(project)}${data.id}.${part}`,
      filter: { runs: runs.slice(i, i + MAX_SWEEP_RUNS) },
      action:
        data.action === 'cancel'
          ? { do: 'cancel', reason: 'Canceled by a bulk action', graceMs: CANCEL_GRACE_MS }
          : { do: 'rerun' },
      label: labelOf.bulkAction(data.id),
      data: JSON.stringify(data),
    });
  }
  return sweeps;
}

export async function partsOf(cell: CellApi, project: string, id: string): Promise<SweepRecord[]> {
  const prefix = `${bulkPrefixOf(project)}${id}.`;
  return (await cell.query({ type: 'sweeps', prefix, order: 'asc', limit: 1_000 })).items;
}

export function readBulkData(sweep: SweepRecord): BulkData | null {
  const value = sweep.data === undefined ? null : parseJson(sweep.data);
  return isRecord(value) && typeof value.id === 'string' ? (value as unknown as BulkData) : null;
}

/** @trigger.dev/core: v3/schemas/api.ts BulkActionObject */
export function bulkResponse(data: BulkData, parts: readonly SweepRecord[]): Record<string, unknown> {
  const isRunning = parts.some((part) => part.status === 'running');
  const isStopped = parts.some((part) => part.status === 'stopped');
  const sum = (count: (part: SweepRecord) => number): number => parts.reduce((total, part) => total + count(part), 0);
  const createdAt = Math.min(...parts.map((part) => part.createdAt));
  const endedAt = Math.max(...parts.map((part) => part.endedAt ?? 0));
  return {
    id: data.id,
    ...(data.name === undefined ? {} : { name: data.name }),
    type: data.action === 'cancel' ? 'CANCEL' : 'REPLAY',
    status: isStopped ? 'ABORTED' : isRunning ? 'PENDING' : 'COMPLETED',
    counts: { total: data.total, success: sum((part) => part.changed), failure: sum((part) => part.refused) },
    createdAt: new Date(createdAt).toISOString(),
    ...(isRunning ? {} : { completedAt: new Date(endedAt).toISOString() }),
  };
}

/** A replay by a bulk action: as one over its own route, labelled with the action. */
export const replayed: NonNullable<Translator['again']> = ({ run, task, sweep, nowMs }): StartSpec | null => {
  const data = readBulkData(sweep);
  if (!data || !task) return null;
  const key = `bulk/${data.id}/${run.id}`;
  const spec = replaySpecOf(run, task, data.region === undefined ? {} : { region: data.region }, {
    requestKey: key,
    // Traces of their own: 48 hexadecimal digits that follow from the run.
    traceContext: { traceparent: `00-${hexOf(run.id, 32)}-${hexOf(`${data.id}${run.id}`, 16)}-01` },
    nowMs,
    clockOffsetMs: 0,
    isDevelopment: readTaskData(task.data).environmentType === 'DEVELOPMENT',
  });
  return { ...spec, labels: [...(spec.labels ?? []), labelOf.bulkAction(data.id)] };
};

function hexOf(text: string, digits: number): string {
  let hash = 0x811c9dc5;
  let out = '';
  for (let i = 0; out.length < digits; i++) {
    for (const char of `${i}${text}`) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
    out += (hash >>> 0).toString(16).padStart(8, '0');
  }
  return out.slice(0, digits);
}

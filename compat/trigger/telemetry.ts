import type { Command } from '../../core/model/command.ts';
import type { RunRecord } from '../../core/model/query.ts';
import type { CellApi } from '../../core/ports.ts';
import { COLLECTIONS } from './names.ts';
import type { TelemetryRecord } from './otlp.ts';
import { parseJson } from './packets.ts';

/** How long spans and log lines are kept. */
const RETENTION_MS = 7 * 86_400_000;
/** Records of one run that are kept; later ones are dropped. */
const MAX_PER_RUN = 10_000;
const AT_ONCE = 200;
/** Spans below each other. */
const MAX_DEPTH = 100;

/** Keeps what belongs to runs that are known. A span that has ended replaces its beginning, never the other way round. */
export async function keepTelemetry(cell: CellApi, records: readonly TelemetryRecord[], nowMs: number): Promise<void> {
  const byRun = Map.groupBy(records, (record) => record.run);
  for (const [run, all] of byRun) {
    if (!(await cell.query({ type: 'run', run }))) continue;
    const counted = await cell.query({ type: 'record', collection: collectionOf(run), id: COUNT });
    const count = Number(counted?.data ?? 0);
    if (count >= MAX_PER_RUN) continue;
    const expiresAt = nowMs + RETENTION_MS;
    for (let i = 0; i < all.length; i += AT_ONCE) {
      const commands = all.slice(i, i + AT_ONCE).map((record): Command => ({
        type: 'put-record',
        collection: collectionOf(run),
        id: record.id,
        data: JSON.stringify(record),
        expiresAt,
        ...(record.isPartial || record.kind === 'log' ? { ifAbsent: true } : {}),
      }));
      const data = String(count + Math.min(all.length, i + AT_ONCE));
      await cell.apply([
        ...commands,
        { type: 'put-record', collection: collectionOf(run), id: COUNT, data, expiresAt },
      ]);
    }
  }
}

/** How many records have come, repeated ones counted each time; no id of a span. */
const COUNT = '!count';

function collectionOf(run: string): string {
  return `${COLLECTIONS.telemetry}/${run}`;
}

/** All of a run, by time. */
export async function telemetryOf(cell: CellApi, run: string): Promise<TelemetryRecord[]> {
  const records: TelemetryRecord[] = [];
  let cursor: string | undefined;
  do {
    const page = await cell.query({
      type: 'records',
      collection: collectionOf(run),
      order: 'asc',
      limit: 1_000,
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const { id, data } of page.items) if (id !== COUNT) records.push(parseJson(data) as TelemetryRecord);
    ({ cursor } = page);
  } while (cursor !== undefined && records.length < MAX_PER_RUN);
  return records.sort((a, b) => a.startMs - b.startMs || (a.id < b.id ? -1 : 1));
}

export interface SpanNode {
  record: TelemetryRecord;
  children: SpanNode[];
}

/** The run itself as the span under which its attempts stand: the one that its trace context names. */
export function rootOf(
  record: RunRecord,
  traceparent: string | undefined,
  name: string,
  nowMs: number,
): TelemetryRecord {
  const parts = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-/.exec(traceparent ?? '');
  return {
    kind: 'span',
    run: record.id,
    traceId: parts?.[1] ?? '0'.repeat(32),
    id: parts?.[2] ?? record.id.toLowerCase().slice(-16),
    message: name,
    level: 'TRACE',
    startMs: record.createdAt,
    durationMs: Math.max(0, (record.endedAt ?? nowMs) - record.createdAt),
    isError: record.status === 'failed',
    isPartial: record.status === 'running',
    properties: {},
    events: [],
  };
}

/** A tree from spans in any order: one whose parent is not among them hangs below the root, and so does one of a circle or too deep. */
export function treeOf(root: TelemetryRecord, records: readonly TelemetryRecord[]): SpanNode {
  const top: SpanNode = { record: root, children: [] };
  const nodes = new Map<string, SpanNode>([[root.id, top]]);
  for (const record of records) if (!nodes.has(record.id)) nodes.set(record.id, { record, children: [] });
  const isBelow = (node: SpanNode): boolean => {
    const seen = new Set<string>();
    for (let id = node.record.parentId; id !== undefined && nodes.has(id); id = nodes.get(id)?.record.parentId) {
      if (id === root.id) return true;
      if (seen.has(id) || id === node.record.id || seen.size > MAX_DEPTH) return false;
      seen.add(id);
    }
    return true;
  };
  for (const node of nodes.values()) {
    if (node === top) continue;
    const parent = node.record.parentId === undefined ? undefined : nodes.get(node.record.parentId);
    (parent && isBelow(node) ? parent : top).children.push(node);
  }
  return top;
}

import * as z from 'zod';
import type { CellApi } from '../../core/ports.ts';
import { InngestError } from './errors.ts';
import { newEventId } from './ids.ts';
import type { SpanMetadata } from './trace.ts';

/** Of one item, and of all items of a run (inngest/inngest: pkg/tracing/metadata). */
const MAX_ITEM_BYTES = 64 * 1_024;
const MAX_RUN_BYTES = 1_048_576;
const MAX_ITEMS = 100;
const MAX_CHANGES = 1_000;
/** Metadata outlives nearly every run's retention, and goes by itself. */
const KEPT_MS = 60 * 86_400_000;

const ItemSchema = z.looseObject({
  kind: z.string().min(1).max(256),
  op: z.enum(['set', 'merge', 'delete', 'add']),
  values: z.record(z.string(), z.unknown()).nullish(),
});

export const MetadataSchema = z.looseObject({
  target: z
    .looseObject({
      run_id: z.string().nullish(),
      step_id: z.string().max(512).nullish(),
      step_index: z.number().int().nullish(),
      step_attempt: z.number().int().nullish(),
      span_id: z.string().max(128).nullish(),
    })
    .nullish(),
  metadata: z.array(ItemSchema).max(MAX_ITEMS),
});

type Item = z.infer<typeof ItemSchema>;

/** Kinds of one target and their values. */
type Kept = Record<string, { values: Record<string, unknown>; updatedAt: number }>;

interface Change {
  /** Hashed id of a step, '' for the run. */
  target: string;
  atMs: number;
  items: Item[];
}

function collection(run: string): string {
  return `inngest/metadata/${run}`;
}

/** Keeps a change of what is known of a run or one of its steps: appended, so that two at the same time both count. */
export async function keepMetadata(cell: CellApi, run: string, change: Change): Promise<void> {
  for (const item of change.items)
    if (JSON.stringify(item.values ?? {}).length > MAX_ITEM_BYTES)
      throw tooLarge(`Metadata "${item.kind}" is larger than ${MAX_ITEM_BYTES} bytes.`);
  const before = await changesOf(cell, run);
  const data = JSON.stringify(change);
  if (before.size + data.length > MAX_RUN_BYTES || before.changes.length >= MAX_CHANGES)
    throw tooLarge(
      `The metadata of the run is larger than ${MAX_RUN_BYTES} bytes, or has more than ${MAX_CHANGES} changes.`,
    );
  const id = newEventId(change.atMs);
  await cell.apply([{ type: 'put-record', collection: collection(run), id, data, expiresAt: change.atMs + KEPT_MS }]);
}

/** Metadata of a run by step; '' is the run's own. */
export async function runMetadata(cell: CellApi, run: string): Promise<Map<string, SpanMetadata[]>> {
  const targets = new Map<string, Kept>();
  for (const { target, items, atMs } of (await changesOf(cell, run)).changes) {
    const kept = targets.get(target) ?? {};
    for (const item of items) apply(kept, item, atMs);
    targets.set(target, kept);
  }
  return new Map(
    [...targets].map(([target, kept]) => {
      const scope = target === '' ? ('run' as const) : ('step' as const);
      return [target, Object.entries(kept).map(([kind, one]) => ({ scope, kind, ...one }))];
    }),
  );
}

async function changesOf(cell: CellApi, run: string): Promise<{ changes: Change[]; size: number }> {
  const page = await cell.query({
    type: 'records',
    collection: collection(run),
    limit: MAX_CHANGES,
    order: 'asc',
  });
  return {
    changes: page.items.map(({ data }) => JSON.parse(data) as Change),
    size: page.items.reduce((sum, { data }) => sum + data.length, 0),
  };
}

function apply(kept: Kept, item: Item, atMs: number): void {
  const values = item.values ?? {};
  const old = kept[item.kind]?.values ?? {};
  switch (item.op) {
    case 'set':
      kept[item.kind] = { values, updatedAt: atMs };
      return;
    case 'merge':
      kept[item.kind] = { values: { ...old, ...values }, updatedAt: atMs };
      return;
    case 'add': {
      const sums = Object.entries(values).map(([key, value]) => {
        const was = old[key];
        return [key, typeof value === 'number' && typeof was === 'number' ? was + value : value] as const;
      });
      kept[item.kind] = { values: { ...old, ...Object.fromEntries(sums) }, updatedAt: atMs };
      return;
    }
    case 'delete': {
      const gone = new Set(Object.keys(values));
      const rest = Object.entries(old).filter(([key]) => gone.size > 0 && !gone.has(key));
      if (rest.length === 0) delete kept[item.kind];
      else kept[item.kind] = { values: Object.fromEntries(rest), updatedAt: atMs };
    }
  }
}

function tooLarge(message: string): InngestError {
  return new InngestError(413, 'metadata_too_large', message);
}

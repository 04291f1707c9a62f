import type { CellApi } from '../../core/ports.ts';
import type { FunctionData } from './function-data.ts';

/** Bounds that were set for the runs of single functions, by slug: a registration does not undo them. */
const COLLECTION = 'inngest/limits';

/** Members of a function's data, and what the vendor's routes call them. */
export const LIMIT_FIELDS = { maxSteps: 'step_limit', maxStateBytes: 'state_size_limit' } as const;
export type LimitField = keyof typeof LIMIT_FIELDS;

type Overrides = Pick<FunctionData, LimitField>;

export async function overridesOf(cell: CellApi): Promise<ReadonlyMap<string, Overrides>> {
  const page = await cell.query({ type: 'records', collection: COLLECTION, limit: 1_000, order: 'asc' });
  return new Map(page.items.map(({ id, data }) => [id, JSON.parse(data) as Overrides]));
}

/** `limit` null: the vendor's bound again. */
export async function keepOverride(
  cell: CellApi,
  slug: string,
  field: LimitField,
  limit: number | null,
): Promise<void> {
  const record = await cell.query({ type: 'record', collection: COLLECTION, id: slug });
  const { [field]: _, ...rest } = (record ? JSON.parse(record.data) : {}) as Overrides;
  const data = JSON.stringify(limit === null ? rest : { ...rest, [field]: limit });
  await cell.apply([
    data === '{}'
      ? { type: 'delete-record', collection: COLLECTION, id: slug }
      : { type: 'put-record', collection: COLLECTION, id: slug, data },
  ]);
}

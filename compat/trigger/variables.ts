import type { CellApi } from '../../core/ports.ts';
import { COLLECTIONS } from './names.ts';
import { isRecord, parseJson } from './packets.ts';

export interface Variable {
  name: string;
  value: string;
  isSecret: boolean;
}

export function variablesCollection(project: string, env: string): string {
  return `${COLLECTIONS.variables}/${project}/${env}`;
}

export async function listVariables(cell: CellApi, project: string, env: string): Promise<Variable[]> {
  const page = await cell.query({
    type: 'records',
    collection: variablesCollection(project, env),
    limit: 1_000,
    order: 'asc',
  });
  return page.items.flatMap(({ id, data }) => {
    const value = parseJson(data);
    return isRecord(value) && typeof value.value === 'string'
      ? [{ name: id, value: value.value, isSecret: value.isSecret === true }]
      : [];
  });
}

/** What a worker puts into the environment of its task processes. */
export async function readVariables(cell: CellApi, project: string, env: string): Promise<Record<string, string>> {
  return Object.fromEntries((await listVariables(cell, project, env)).map(({ name, value }) => [name, value]));
}

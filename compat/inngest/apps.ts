import type { TaskRecord } from '../../core/model/task.ts';
import type { JsonText } from '../../core/model/payload.ts';
import type { CellApi } from '../../core/ports.ts';
import { readFunctionData } from './function-data.ts';
import type { FunctionData } from './function-data.ts';
import { EXECUTOR, groupOf } from './names.ts';

/** Collection of what apps said of themselves when they registered. */
export const APPS = 'inngest/apps';

/** An app as it registered last. */
export interface AppRecord {
  /** UUID, made from its name. */
  id: string;
  name: string;
  url: string;
  sdk: string;
  framework: string;
  appVersion: string | null;
  method: 'SERVE' | 'CONNECT' | 'API';
  syncedAt: number;
  /** What its SDK says of two of its features, by the numbers of the vendor's reasons: AI metadata, extended traces. */
  readiness?: { ai?: number; traces?: number };
}

export interface KnownFunction {
  task: TaskRecord;
  fn: FunctionData;
}

export async function allApps(cell: CellApi): Promise<AppRecord[]> {
  const page = await cell.query({ type: 'records', collection: APPS, limit: 1_000, order: 'asc' });
  return page.items.map(({ data }) => JSON.parse(data) as AppRecord);
}

/** By name, or by id. */
export async function findApp(cell: CellApi, nameOrId: string): Promise<AppRecord | null> {
  const record = await cell.query({ type: 'record', collection: APPS, id: nameOrId });
  if (record) return JSON.parse(record.data) as AppRecord;
  return (await allApps(cell)).find((app) => app.id === nameOrId) ?? null;
}

/** The app of a function. One that never registered, a durable endpoint's, is known by its functions alone. */
export async function appOf(cell: CellApi, fn: FunctionData): Promise<AppRecord> {
  const record = await cell.query({ type: 'record', collection: APPS, id: fn.app });
  if (record) return JSON.parse(record.data) as AppRecord;
  const url = URL.canParse(fn.url) ? new URL(fn.url).origin : fn.url;
  return { id: fn.appId, name: fn.app, url, sdk: '', framework: '', appVersion: null, method: 'API', syncedAt: 0 };
}

export async function functionsOf(cell: CellApi, app?: string): Promise<KnownFunction[]> {
  const tasks = await cell.query({ type: 'tasks', ...(app === undefined ? {} : { group: groupOf(app) }) });
  return tasks.filter((task) => task.executor === EXECUTOR).map((task) => ({ task, fn: readFunctionData(task.data) }));
}

/** A function by its id (UUID), its composite id, or its own id within the app. */
export function pickFunction(functions: KnownFunction[], app: string | null, wanted: string): KnownFunction | null {
  const names = new Set([wanted, ...(app === null ? [] : [`${app}-${wanted}`])]);
  return functions.find(({ fn }) => names.has(fn.slug) || fn.id === wanted) ?? null;
}

/** Keeps what an app said of itself; nothing is written when it said the same before. */
export async function keepApp(cell: CellApi, app: AppRecord): Promise<void> {
  const before = await cell.query({ type: 'record', collection: APPS, id: app.name });
  const said = (record: AppRecord): JsonText => JSON.stringify({ ...record, syncedAt: 0 });
  if (before && said(JSON.parse(before.data) as AppRecord) === said(app)) return;
  await cell.apply([{ type: 'put-record', collection: APPS, id: app.name, data: JSON.stringify(app) }]);
}

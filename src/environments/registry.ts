import { cellName, DEFAULT_ENVIRONMENT } from '../../core/model/placement.ts';
import type { Page, StoredRecord } from '../../core/model/query.ts';
import type { Bindings } from '../bindings.ts';
import { CellClient } from '../cell/cell-client.ts';
import { cellStub } from '../cell/cell-stub.ts';
import type { Cell } from '../cell/cell.ts';
import { contextOf } from '../context.ts';

const COLLECTION = '$environments';
const PAGE = 1_000;

function registryOf(env: Bindings): CellClient {
  return new CellClient(cellStub(env, DEFAULT_ENVIRONMENT), cellName(DEFAULT_ENVIRONMENT, 0), env.INGEST);
}

/** Environments that this isolate has noted; the record is written once and never changes. */
const noted = new Map<string, Promise<void>>();

/**
 * Keeps, in the default cell, that an environment is in use: it starts with the server and moves with its clock from then on. Called with every use;
 * costs something the first time in an isolate.
 */
export function noteEnvironment(env: Bindings, environment: string): Promise<void> {
  let done = noted.get(environment);
  if (!done) {
    done = note(env, environment);
    noted.set(environment, done);
    done.catch(() => noted.delete(environment));
  }
  return done;
}

async function note(env: Bindings, environment: string): Promise<void> {
  const registry = cellStub(env, DEFAULT_ENVIRONMENT);
  const command = { type: 'put-record', collection: COLLECTION, id: environment, data: '{}', ifAbsent: true } as const;
  const [put] = await registry.apply([command]);
  if (put?.type !== 'put-record' || !put.written || contextOf(env).mode !== 'dev') return;
  // A test has moved the clock, perhaps: a new environment starts at the same time.
  const cell = cellStub(env, environment);
  const nowMs = await registry.clockNow();
  if (nowMs > (await cell.clockNow())) await cell.clockAdvance(nowMs, 0);
}

/** Whether the environment is in use. */
export async function isInUse(env: Bindings, environment: string): Promise<boolean> {
  if (environment === DEFAULT_ENVIRONMENT || noted.has(environment)) return true;
  const record = await registryOf(env).query({
    type: 'record',
    collection: COLLECTION,
    id: environment,
  });
  return record !== null;
}

/** The environments in use, the default one first. */
export async function environmentsInUse(env: Bindings): Promise<string[]> {
  const names: string[] = [DEFAULT_ENVIRONMENT];
  for (let cursor: string | undefined; ;) {
    const page: Page<StoredRecord> = await registryOf(env).query({
      type: 'records',
      collection: COLLECTION,
      limit: PAGE,
      order: 'asc',
      ...(cursor === undefined ? {} : { cursor }),
    });
    names.push(...page.items.map(({ id }) => id));
    if (page.cursor === undefined) return names;
    cursor = page.cursor;
  }
}

/** The cells of all environments in use. */
export async function cellsInUse(env: Bindings): Promise<Array<DurableObjectStub<Cell>>> {
  return (await environmentsInUse(env)).map((environment) => cellStub(env, environment));
}

/** Starts every environment's cell: what was under way when the process ended goes on. */
export async function bootAll(env: Bindings): Promise<void> {
  await Promise.all((await cellsInUse(env)).map((cell) => cell.boot()));
}

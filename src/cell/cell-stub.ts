import { cellName } from '../../core/model/placement.ts';
import type { Bindings } from '../bindings.ts';
import type { Cell } from './cell.ts';

/** Object of an environment's cell; one cell per environment unless configured otherwise. */
export function cellStub(env: Bindings, environment: string, n = 0): DurableObjectStub<Cell> {
  return namedCell(env, cellName(environment, n));
}

/** Ids by name: each is a hash, and an object that the collector finds only in its largest round. */
const ids = new Map<string, DurableObjectId>();
const MAX_IDS = 1_000;

export function namedCell(env: Bindings, name: string): DurableObjectStub<Cell> {
  let id = ids.get(name);
  if (!id) {
    if (ids.size >= MAX_IDS) ids.clear();
    ids.set(name, (id = env.CELL.idFromName(name)));
  }
  return env.CELL.get(id);
}

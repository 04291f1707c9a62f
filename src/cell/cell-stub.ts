import { cellName } from '../../core/model/placement.ts';
import type { Bindings } from '../bindings.ts';
import type { Cell } from './cell.ts';

/** Object of an environment's cell; one cell per environment unless configured otherwise. */
export function cellStub(env: Bindings, environment: string, n = 0): DurableObjectStub<Cell> {
  return namedCell(env, cellName(environment, n));
}

export function namedCell(env: Bindings, name: string): DurableObjectStub<Cell> {
  return env.CELL.get(env.CELL.idFromName(name));
}

import type { RouteContext } from '../request.ts';
import { COLUMNS, FIXED_COLUMNS, type Row } from './row.ts';

/**
 * The feed of changing rows as the clients of Electric read it (@electric-sql/client 0.4 to 1.0): a snapshot first, then long polls. A position is
 * the pair of a handle (which snapshot) and an offset in what changed since.
 */
export interface ShapeRequest {
  /** Null at the beginning. */
  handle: string | null;
  /** Null at the beginning, where the client sends -1. */
  offset: number | null;
  /** Hold the answer until there is news. */
  isLive: boolean;
  skipped: ReadonlySet<string>;
}

/** A live request is answered after this long with nothing (electric: 20 s). */
export const HOLD_MS = 20_000;
/** Read by browsers. `electric-shape-id` and `electric-chunk-last-offset` are the names of clients before 1.0. */
export const SHAPE_HEADERS = [
  'electric-handle',
  'electric-offset',
  'electric-schema',
  'electric-cursor',
  'electric-up-to-date',
  'electric-shape-id',
  'electric-chunk-last-offset',
  'electric-next-cursor',
];

const CONTROL = { upToDate: { headers: { control: 'up-to-date' } }, refetch: { headers: { control: 'must-refetch' } } };

export function readShapeRequest(c: RouteContext, skippedByToken: readonly string[]): ShapeRequest {
  const offset = /^(\d+)_\d+$/.exec(c.req.query('offset') ?? '')?.[1];
  const asked = (c.req.query('skipColumns') ?? '').split(',').map((name) => name.trim());
  return {
    handle: c.req.query('handle') ?? c.req.query('shape_id') ?? null,
    offset: offset === undefined ? null : Number(offset),
    isLive: c.req.query('live') === 'true',
    skipped: new Set([...asked, ...skippedByToken].filter((name) => name !== '' && !FIXED_COLUMNS.has(name))),
  };
}

export interface ShapeAnswer {
  handle: string;
  offset: number;
  rows: Row[];
  operation: 'insert' | 'update';
}

export function shapeResponse(request: ShapeRequest, { handle, offset, rows, operation }: ShapeAnswer): Response {
  const messages = rows.map((row) => ({
    key: `"public"."TaskRun"/"${row.id}"`,
    value: without(row, request.skipped),
    headers: { operation, relation: ['public', 'TaskRun'] },
  }));
  return new Response(JSON.stringify([...messages, CONTROL.upToDate]), {
    headers: { ...headersOf(handle, `${offset}_0`, request.skipped), 'electric-up-to-date': '' },
  });
}

/** The client's snapshot is not known any more: it begins again under the new handle. */
export function refetchResponse(handle: string): Response {
  return new Response(JSON.stringify([CONTROL.refetch]), { status: 409, headers: headersOf(handle, '-1', new Set()) });
}

function headersOf(handle: string, offset: string, skipped: ReadonlySet<string>): Record<string, string> {
  // Changes with time, so that no cache between here and a browser answers a poll.
  const cursor = String(Math.floor(Date.now() / 1_000));
  return {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    'electric-handle': handle,
    'electric-offset': offset,
    'electric-cursor': cursor,
    'electric-schema': JSON.stringify(without(COLUMNS, skipped)),
    'electric-shape-id': handle,
    'electric-chunk-last-offset': offset,
    'electric-next-cursor': cursor,
  };
}

function without<T extends object>(record: T, skipped: ReadonlySet<string>): Partial<T> {
  if (skipped.size === 0) return record;
  return Object.fromEntries(Object.entries(record).filter(([name]) => !skipped.has(name))) as Partial<T>;
}

import type { LabelPosition } from '../../../core/model/channel.ts';
import type { CellApi } from '../../../core/ports.ts';
import { channelOf, labelOf } from '../names.ts';
import type { RouteContext } from '../request.ts';
import { ROW_VIEW, rowView, type Row } from './row.ts';
import { HOLD_MS, refetchResponse, shapeResponse, type ShapeRequest } from './shape.ts';

/** Rows of a snapshot, the newest; more would be more than a subscriber can look at. */
const MAX_ROWS = 1_000;
const PAGE_ROWS = 100;

export interface Selection {
  label: string;
  /** Every run has to have all of them. */
  tags: readonly string[];
  /** Runs created before are left out. */
  sinceMs: number;
}

/** Answers one request for the runs with a label: all of them at first, then those that changed. */
export async function labelShape(
  c: RouteContext,
  environment: string,
  request: ShapeRequest,
  selection: Selection,
): Promise<Response> {
  const host = c.get('host');
  const after = positionOf(request);
  const changes = await host.channel(environment, channelOf.label(selection.label)).watchLabel({
    label: selection.label,
    view: ROW_VIEW,
    after,
    waitMs: request.isLive ? HOLD_MS : 0,
  });
  const handle = handleOf(selection, changes.position);
  if (after !== null) {
    if (changes.reset) return refetchResponse(handle);
    const rows = changes.runs
      .flatMap(({ view }) => (view === null ? [] : [JSON.parse(view) as Row]))
      .filter((row) => belongs(row, selection));
    return shapeResponse(request, { handle, offset: changes.position.n, rows, operation: 'update' });
  }
  const rows = await snapshot(host.cell(environment), c, selection);
  return shapeResponse(request, { handle, offset: changes.position.n, rows, operation: 'insert' });
}

/** The start of the selection is part of the handle, so that every poll of a subscription selects the same. */
export function sinceOfHandle(handle: string | null): number | null {
  const since = /^l\.(\d+)\./.exec(handle ?? '')?.[1];
  return since === undefined ? null : Number(since);
}

function handleOf({ sinceMs }: Selection, { epoch }: LabelPosition): string {
  return `l.${sinceMs}.${epoch}`;
}

function positionOf({ handle, offset }: ShapeRequest): LabelPosition | null {
  const epoch = /^l\.\d+\.(.+)$/.exec(handle ?? '')?.[1];
  return epoch === undefined || offset === null ? null : { epoch, n: offset };
}

async function snapshot(cell: CellApi, c: RouteContext, selection: Selection): Promise<Row[]> {
  const { context } = c.get('host');
  const rows: Row[] = [];
  let cursor: string | undefined;
  do {
    const page = await cell.query({
      type: 'runs',
      label: selection.label,
      fromMs: selection.sinceMs,
      limit: PAGE_ROWS,
      ...(cursor === undefined ? {} : { cursor }),
    });
    const wanted = page.items.filter((run) => selection.tags.every((tag) => run.labels.includes(labelOf.tag(tag))));
    const made = await Promise.all(wanted.map(({ id }) => rowView(id, cell, context)));
    for (const text of made) if (text !== null) rows.push(JSON.parse(text) as Row);
    cursor = page.cursor;
  } while (cursor !== undefined && rows.length < MAX_ROWS);
  return rows.slice(0, MAX_ROWS).reverse();
}

function belongs(row: Row, { tags, sinceMs }: Selection): boolean {
  const own = tagsIn(row.runTags ?? '{}');
  return Date.parse(`${row.createdAt}Z`) >= sinceMs && tags.every((tag) => own.includes(tag));
}

/** The items of a literal that `textArray` made. */
export function tagsIn(literal: string): string[] {
  return [...literal.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map((match) => (match[1] as string).replace(/\\(.)/g, '$1'));
}

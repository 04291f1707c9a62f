import { MAIN } from '../../core/model/call.ts';
import type { HistoryEntry } from '../../core/model/history.ts';
import type { CellApi } from '../../core/ports.ts';
import { newEventId } from './ids.ts';
import type { UserSpan } from './otlp.ts';
import { readMeta } from './step-meta.ts';
import type { Span } from './trace.ts';

/** Of one run, in count and as text: what comes beyond is told to be rejected. */
const MAX_SPANS = 1_000;
const MAX_BYTES = 1_048_576;
/** Spans are kept for looking at, not for ever. */
const KEPT_MS = 7 * 86_400_000;

function collection(run: string): string {
  return `inngest/spans/${run}`;
}

/** Keeps spans of a run; answers how many of them it did not keep. One row for each export. */
export async function keepSpans(cell: CellApi, run: string, spans: UserSpan[], nowMs: number): Promise<number> {
  if ((await cell.query({ type: 'run', run })) === null) return spans.length;
  const before = await exportsOf(cell, run);
  let count = before.reduce((sum, { spans: list }) => sum + list.length, 0);
  let bytes = before.reduce((sum, { size }) => sum + size, 0);
  const kept: UserSpan[] = [];
  for (const span of spans) {
    const size = JSON.stringify(span).length;
    if (count >= MAX_SPANS || bytes + size > MAX_BYTES) break;
    count++;
    bytes += size;
    kept.push(span);
  }
  if (kept.length > 0)
    await cell.apply([
      {
        type: 'put-record',
        collection: collection(run),
        id: newEventId(nowMs),
        data: JSON.stringify(kept),
        expiresAt: nowMs + KEPT_MS,
      },
    ]);
  return spans.length - kept.length;
}

export async function spansOf(cell: CellApi, run: string): Promise<UserSpan[]> {
  return (await exportsOf(cell, run)).flatMap(({ spans }) => spans);
}

async function exportsOf(cell: CellApi, run: string): Promise<Array<{ spans: UserSpan[]; size: number }>> {
  const page = await cell.query({ type: 'records', collection: collection(run), limit: MAX_SPANS, order: 'asc' });
  return page.items.map(({ data }) => ({ spans: JSON.parse(data) as UserSpan[], size: data.length }));
}

/** Puts an app's own spans where they happened: under another of them, under the attempt of the step that ran, or under the run. */
export function attachSpans(root: Span, spans: readonly UserSpan[], history: readonly HistoryEntry[]): void {
  const shown = new Map<string, { user: UserSpan; span: Span }>();
  // The same export may come twice.
  for (const user of spans) if (!shown.has(user.id)) shown.set(user.id, { user, span: toSpan(root.runID, user) });
  for (const { user, span } of shown.values()) {
    const parent = isUnder(shown, user) ? shown.get(user.parent as string)?.span : undefined;
    const place = parent ?? placeOf(root, user, history);
    span.parentSpanID = place.spanID;
    place.children.push(span);
  }
  for (const { span } of shown.values()) span.children.sort(byStart);
}

function byStart(a: Span, b: Span): number {
  return a.queuedAt - b.queuedAt;
}

/** Its parent is shown, and it is none of its own ancestors. */
function isUnder(shown: ReadonlyMap<string, { user: UserSpan }>, user: UserSpan): boolean {
  if (user.parent === null || !shown.has(user.parent)) return false;
  const seen = new Set([user.id]);
  for (let id: string | null | undefined = user.parent; id; id = shown.get(id)?.user.parent) {
    if (seen.has(id)) return false;
    seen.add(id);
  }
  return true;
}

function placeOf(root: Span, { step, call }: UserSpan, history: readonly HistoryEntry[]): Span {
  if (step) return attemptOf(root, step.key, step.attempt) ?? root;
  if (!call) return root;
  if (call.key !== MAIN) return attemptOf(root, call.key, call.attempt) ?? root;
  // What came of the function's own call is the first that was written after it.
  const next = history.find(({ seq, body }) => seq > call.seq && /^(step|retry|plan|wait|end)$/.test(body.kind))?.body;
  if (next?.kind === 'step') return attemptOf(root, next.key, call.attempt) ?? root;
  if (next?.kind === 'retry') return attemptOf(root, readMeta(next.meta ?? null).k ?? null, call.attempt) ?? root;
  return next?.kind === 'end' ? (attemptOf(root, null, call.attempt) ?? root) : root;
}

/** A step's attempt, or the step where it was tried once. `key` null: the function's own end. */
function attemptOf(root: Span, key: string | null, attempt: number): Span | undefined {
  const found = root.children.find((child) =>
    key === null ? child.stepID === null && child.userland === null : child.stepID === key,
  );
  const tries = found?.children.filter((child) => child.userland === null) ?? [];
  return tries[attempt] ?? tries.at(-1) ?? found;
}

function toSpan(run: string, user: UserSpan): Span {
  return {
    spanID: user.id,
    parentSpanID: null,
    runID: run,
    name: user.name,
    status: user.failed ? 'FAILED' : 'COMPLETED',
    attempts: 0,
    queuedAt: user.startMs,
    startedAt: user.startMs,
    endedAt: user.endMs,
    stepID: null,
    stepOp: null,
    stepInfo: null,
    outputSeq: null,
    isRoot: false,
    metadata: [],
    children: [],
    userland: user,
  };
}

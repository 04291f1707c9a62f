import type { HistoryEntry } from '../../core/model/history.ts';
import type { RunDetail, RunFacts } from '../../core/model/query.ts';
import type { CellApi, RouteHost } from '../../core/ports.ts';
import { textOf } from './events.ts';
import { INVOKE_TIMEOUT_ERROR } from './memo.ts';
import { runMetadata } from './metadata.ts';
import { readMeta } from './step-meta.ts';
import { INPUT_NOTE } from './step-notes.ts';
import { traceOf } from './trace.ts';
import type { Span, TraceStyle } from './trace.ts';
import { attachSpans, spansOf } from './user-spans.ts';

/** A run's history is read in pages of this many entries. */
const HISTORY_PAGE = 1_000;

export interface SpanOutput {
  input: string | null;
  data: string | null;
  error: string | null;
}

export async function historyOf(cell: CellApi, run: string): Promise<HistoryEntry[]> {
  const entries: HistoryEntry[] = [];
  for (;;) {
    const afterSeq = entries.at(-1)?.seq ?? 0;
    const page = await cell.query({ type: 'history', run, afterSeq, limit: HISTORY_PAGE });
    entries.push(...page);
    if (page.length < HISTORY_PAGE) return entries;
  }
}

export async function traceOfRun(cell: CellApi, run: RunFacts, style?: TraceStyle): Promise<Span> {
  const [history, detail, metadata, spans] = await Promise.all([
    historyOf(cell, run.id),
    cell.query({ type: 'run-detail', run: run.id }),
    runMetadata(cell, run.id),
    spansOf(cell, run.id),
  ]);
  const record = detail ?? { ...run, input: null, output: null, error: null };
  const root = traceOf(record, history, detail?.pending ?? [], metadata, style);
  attachSpans(root, spans, history);
  return root;
}

/** Names a span's result for later: the run, the position of its entry, and the step. */
export function outputId(span: Span): string | null {
  return span.outputSeq === null ? null : btoa(JSON.stringify([span.runID, span.outputSeq]));
}

/** Input and result of a span; null when the id is not one of ours or the run is gone. */
export async function outputOf(cell: CellApi, id: string): Promise<SpanOutput | null> {
  const named = parseOutputId(id);
  if (!named) return null;
  const [run, seq] = named;
  const [entry] = await cell.query({ type: 'history', run, afterSeq: seq - 1, limit: 1 });
  if (!entry) return null;
  const { body } = entry;
  const timedOut = body.kind === 'step' && body.source === 'timeout' && (await isInvocation(cell, run, body.key));
  const text = timedOut ? INVOKE_TIMEOUT_ERROR : entry.data === null ? 'null' : textOf(entry.data);
  const failed =
    timedOut ||
    body.kind === 'retry' ||
    (body.kind === 'step' && body.error === true) ||
    (body.kind === 'end' && body.status !== 'completed');
  const key = body.kind === 'step' ? body.key : null;
  const input = key === null ? null : await inputOf(cell, run, key);
  return failed ? { input, data: null, error: text } : { input, data: text, error: null };
}

/** What a wait was for is said where it began. */
async function isInvocation(cell: CellApi, run: string, key: string): Promise<boolean> {
  const history = await historyOf(cell, run);
  return history.some(
    ({ body }) => body.kind === 'wait' && body.key === key && readMeta(body.meta ?? null).o === 'InvokeFunction',
  );
}

async function inputOf(cell: CellApi, run: string, key: string): Promise<string | null> {
  for (const { body, data } of await historyOf(cell, run)) {
    if (body.kind === 'note' && body.name === INPUT_NOTE && data !== null) {
      const note = JSON.parse(textOf(data)) as { key: string; input: unknown };
      if (note.key === key) return JSON.stringify(note.input);
    }
    // What the server requests for the run is the input of that step.
    if (body.kind !== 'plan') continue;
    const call = body.calls.find((one) => one.key === key);
    if (call?.data === undefined) continue;
    const request = JSON.parse(textOf(call.data)) as { body?: string | null };
    return request.body ?? null;
  }
  return null;
}

function parseOutputId(id: string): [run: string, seq: number] | null {
  try {
    const [run, seq] = JSON.parse(atob(id)) as [unknown, unknown];
    return typeof run === 'string' && Number.isInteger(seq) ? [run, seq as number] : null;
  } catch {
    return null;
  }
}

/** Waits until the run has ended, or the time is over, or the server is about to end. */
export async function untilEnded(host: RouteHost, run: string, waitMs: number): Promise<RunDetail | null> {
  const cell = host.cell(host.context.environment);
  const deadline = Date.now() + waitMs;
  for (;;) {
    const detail = await cell.query({ type: 'run-detail', run });
    if (!detail || detail.status !== 'running') return detail;
    const left = deadline - Date.now();
    if (left <= 0 || host.isEnding()) return detail;
    await cell.watch({ run, afterSeq: detail.seq, waitMs: left });
  }
}

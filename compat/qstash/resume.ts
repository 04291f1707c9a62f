import type { CallSpec, Op } from '../../core/model/call.ts';
import type { HistoryBody, HistoryEntry } from '../../core/model/history.ts';
import type { RunDetail } from '../../core/model/query.ts';
import { eventToken } from './constants.ts';
import { deliveryKey } from './ids.ts';
import type { WaitMeta } from './meta.ts';
import { rawStepText } from './workflow-delivery.ts';

type Wait = Extract<HistoryBody, { kind: 'wait' }>;

/** What a run was doing when it ended. */
export interface OpenWork {
  /** The first delivery itself had not been answered well. */
  first: boolean;
  calls: Map<string, CallSpec>;
  waits: Map<string, Wait>;
}

/** Follows a run's history to its end: the calls and waits that were not over, the failed one among them. */
export function openWork(history: HistoryEntry[]): OpenWork {
  const open: OpenWork = { first: true, calls: new Map(), waits: new Map() };
  const over = (key: string | undefined): void => {
    if (key === undefined) return;
    if (key === '') open.first = false;
    open.calls.delete(key);
  };
  for (const { body } of history) {
    switch (body.kind) {
      case 'step': {
        const then = body.then ?? open.waits.get(body.key)?.then;
        open.waits.delete(body.key);
        over(body.ends);
        if (then) open.calls.set(then.key, then);
        break;
      }
      case 'plan':
        over(body.ends);
        for (const call of body.calls) open.calls.set(call.key, call);
        break;
      case 'wait':
        over(body.ends);
        open.waits.set(body.key, body);
        break;
      case 'done':
        over(body.ends);
        break;
      default:
        break;
    }
  }
  return open;
}

/**
 * Puts a new run where a failed one was: its finished steps in their order, and behind each the delivery that was still open,
 * so that it sees the same steps as before. `dueAt`: when those deliveries are made; default: at once.
 */
export function resumeOps(run: RunDetail, open: OpenWork, runId: string, dueAt?: number): Op[] {
  const again = ({ dueAt: _before, ...call }: CallSpec): CallSpec => (dueAt === undefined ? call : { ...call, dueAt });
  const calls = new Map(open.calls);
  const ops: Op[] = run.steps.map((entry) => {
    const key = deliveryKey(entry.key);
    const then = calls.get(key);
    calls.delete(key);
    return {
      op: 'step',
      key: entry.key,
      data: rawStepText(entry),
      again: 'none',
      ...(then ? { then: again(then) } : {}),
    };
  });
  if (calls.size > 0) ops.push({ op: 'plan', calls: [...calls.values()].map(again) });
  for (const wait of open.waits.values()) {
    const base = { key: wait.key, untilMs: wait.untilMs, meta: wait.meta, again: 'none', then: wait.then } as const;
    if (wait.wait.kind === 'run') ops.push({ op: 'wait-run', run: wait.wait.run, ...base });
    else if (wait.wait.kind === 'token')
      ops.push({ op: 'wait-token', token: eventToken(runId, eventOf(wait)), ...base });
  }
  return ops;
}

export function eventOf(wait: Wait): string {
  return (JSON.parse(wait.meta ?? '{}') as Partial<WaitMeta>).eventId ?? '';
}

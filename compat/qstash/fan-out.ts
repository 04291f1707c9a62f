import type { LeasedCall, Op, Outcome } from '../../core/model/call.ts';
import { TASK_MESSAGE } from './constants.ts';
import { limitsOf, retryPolicy } from './limits.ts';
import type { RunMeta } from './meta.ts';

/** Nothing is sent for the tick itself: it ends with one message for each endpoint. */
export function fanOut(call: LeasedCall, { fanOut: endpoints = [], ...common }: RunMeta): Outcome {
  const starts = endpoints.map(({ url, name }): Op => {
    const meta: RunMeta = { ...common, url, endpoint: name };
    return {
      op: 'start',
      spec: {
        task: TASK_MESSAGE,
        input: call.input,
        meta: JSON.stringify(meta),
        scheduledAt: call.scheduledAt ?? undefined,
        maxAttempts: meta.retries + 1,
        retry: retryPolicy(meta.retryDelay),
        limits: limitsOf(meta),
        labels: meta.labels,
      },
    };
  });
  return { ops: [...starts, { op: 'complete', output: null }] };
}
